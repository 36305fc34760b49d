//! The URL table: health, and a status page for operators.

use std::sync::{Arc, OnceLock};

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::call::session::Parties;
use crate::server::Server;

/// `GET /status` once the server is there: registrations, affiliations and calls; no keys, no tokens.
pub fn status(server: Arc<OnceLock<Arc<Server>>>) -> Router {
    Router::new().route("/status", get(show)).with_state(server)
}

async fn show(State(server): State<Arc<OnceLock<Arc<Server>>>>) -> Json<Value> {
    let Some(server) = server.get() else {
        return Json(json!({
            "registrations": [], "affiliations": [], "functional_aliases": [], "calls": [],
            "partners": [], "refused_assertions": {}
        }));
    };
    let registrations: Vec<Value> = server
        .registrations()
        .live(server.now())
        .map(|binding| {
            json!({
                "impu": binding.impu.to_string(),
                "mcptt_id": binding.mcptt_id.as_str(),
                "client_id": binding.client_id.as_str(),
                "contact": binding.contact.to_string(),
                "flow": binding.flow.to_string(),
                "csk_id": binding.floor_key.as_ref().map(|key| key.key_id().to_string()),
                "expires_unix_s": binding.expires_unix_s,
            })
        })
        .collect();
    let affiliations: Vec<Value> = server
        .affiliations()
        .iter()
        .flat_map(|((user, client), groups)| {
            groups.iter().map(move |group| {
                json!({ "mcptt_id": user.as_str(), "client_id": client.as_str(), "group": group.as_str() })
            })
        })
        .collect();
    let calls: Vec<Value> = server
        .calls()
        .sessions()
        .map(|handle| {
            let participants = handle.participants();
            let participants: Vec<&str> = participants
                .iter()
                .map(mc_ids::McServiceId::as_str)
                .collect();
            let session = handle.identity.to_string();
            match &handle.parties {
                Parties::Group(group) => json!({
                    "group": group.as_str(), "session": session, "participants": participants
                }),
                Parties::Private { caller, callee } => json!({
                    "caller": caller.as_str(), "callee": callee.as_str(),
                    "session": session, "participants": participants
                }),
            }
        })
        .collect();
    let partners: Vec<Value> = server
        .partners
        .iter()
        .map(|partner| {
            json!({
                "name": partner.name(), "psi": partner.psi().to_string(),
                "address": partner.peer().to_string(),
                "spk_id": partner.association().id().to_string(),
                "counters": partner.counters(),
            })
        })
        .collect();
    let aliases: Vec<Value> = server
        .aliases()
        .iter()
        .map(|(alias, (user, _))| json!({ "alias": alias, "mcptt_id": user.as_str() }))
        .collect();
    Json(json!({
        "registrations": registrations, "affiliations": affiliations,
        "functional_aliases": aliases, "calls": calls, "partners": partners,
        "refused_assertions": server.assertions
    }))
}
