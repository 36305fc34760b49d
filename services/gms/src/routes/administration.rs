//! What administrators do besides writing documents: re-key, members, counters.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use mc_ids::McServiceId;
use serde_json::{Value, json};

use crate::error::Refusal;
use crate::routes::{refuse, requester};
use crate::state::Gms;

/// `GET /admin/status`: counters, those of assertions for each peer that may represent others.
pub(super) async fn status(State(gms): State<Gms>, headers: HeaderMap) -> Response {
    let outcome = administrator(&gms, &headers).await.map(|_| {
        let assertions = gms.assertions();
        json!({
            "refused_assertions": assertions.refused(),
            "assertions": assertions.peers(),
            "assertions_of_others": assertions.others(),
        })
    });
    answer(&gms, outcome, None).await
}

/// `POST /admin/groups/{group}/rekey`: a new GMK for a group (TS 33.180 5.7).
pub(super) async fn rekey(
    State(gms): State<Gms>,
    Path(group): Path<String>,
    headers: HeaderMap,
) -> Response {
    let outcome = async {
        administrator(&gms, &headers).await?;
        let key = gms.rekey(&group).await?;
        Ok(json!({"group": group, "gmk_id": key.id.to_string()}))
    };
    answer(&gms, outcome.await, Some(&group)).await
}

/// `PUT /admin/groups/{group}/members/{member}`.
pub(super) async fn add_member(
    State(gms): State<Gms>,
    Path((group, member)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let outcome = change_member(&gms, &headers, &group, &member, true).await;
    answer(&gms, outcome, Some(&group)).await
}

/// `DELETE /admin/groups/{group}/members/{member}`; the group gets a new key.
pub(super) async fn remove_member(
    State(gms): State<Gms>,
    Path((group, member)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let outcome = change_member(&gms, &headers, &group, &member, false).await;
    answer(&gms, outcome, Some(&group)).await
}

async fn change_member(
    gms: &Gms,
    headers: &HeaderMap,
    group: &str,
    member: &str,
    add: bool,
) -> Result<Value, Refusal> {
    administrator(gms, headers).await?;
    let member: McServiceId = member
        .parse()
        .map_err(|_| Refusal::Constraint("the member is no MC service ID"))?;
    let changed = gms.change_member(group, member.as_str(), add).await?;
    Ok(json!({"group": group, "etag": changed.etag}))
}

/// The requester, if an administrator.
async fn administrator(gms: &Gms, headers: &HeaderMap) -> Result<McServiceId, Refusal> {
    let requester = requester(gms, headers).await?;
    if gms.config.administrators.contains(&requester) {
        Ok(requester)
    } else {
        Err(Refusal::Forbidden("only administrators may do this"))
    }
}

async fn answer(gms: &Gms, outcome: Result<Value, Refusal>, group: Option<&str>) -> Response {
    match outcome {
        Ok(value) => Json(value).into_response(),
        Err(refusal) => refuse(gms, refusal, group).await,
    }
}
