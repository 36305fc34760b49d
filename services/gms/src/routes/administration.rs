//! What administrators do besides writing documents: re-key, members, counters.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use mc_ids::McServiceId;
use serde_json::{Value, json};

use crate::access::may_enrol;
use crate::error::Refusal;
use crate::routes::{peer_and_requester, refuse, requester};
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

/// `PUT /admin/groups/{group}/members/{member}`; also for a peer that brings whom it asserts.
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
    let (peer, requester) = peer_and_requester(gms, headers).await?;
    let member: McServiceId = member
        .parse()
        .map_err(|_| Refusal::Constraint("the member is no MC service ID"))?;
    if add && requester == member && requester != peer {
        enrollable(gms, &peer, group, &member).await?;
    } else {
        is_administrator(gms, &requester)?;
    }
    let changed = gms.change_member(group, member.as_str(), add).await?;
    Ok(json!({"group": group, "etag": changed.etag}))
}

/// A peer may bring whom it represents into the groups that its list names.
async fn enrollable(
    gms: &Gms,
    peer: &McServiceId,
    group: &str,
    member: &McServiceId,
) -> Result<(), Refusal> {
    let lists = &gms.config.representations;
    let document = gms.group(group).await?.map(|group| group.document);
    match document {
        Some(document) if may_enrol(lists, peer, member, &document) => Ok(()),
        // Whether there is such a group is not its business.
        Some(_) | None => Err(Refusal::Forbidden("this peer may not bring this member")),
    }
}

/// The requester, if an administrator.
async fn administrator(gms: &Gms, headers: &HeaderMap) -> Result<McServiceId, Refusal> {
    let requester = requester(gms, headers).await?;
    is_administrator(gms, &requester)?;
    Ok(requester)
}

fn is_administrator(gms: &Gms, requester: &McServiceId) -> Result<(), Refusal> {
    if gms.config.administrators.contains(requester) {
        Ok(())
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
