//! XCAP: documents read, put and deleted (RFC 4825, TS 24.481 6.3.2 to 6.3.5).

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use mc_ids::McServiceId;
use mc_xml::gktp::{Gktp, GktpDocument, SingleTypeGktps};
use mc_xml::group::{self, GroupDocument};

use crate::access::{View, view};
use crate::address::{Address, Usage};
use crate::error::Refusal;
use crate::groups::is_protected;
use crate::routes::{refuse, requester};
use crate::state::Gms;

/// The capabilities document (RFC 4825 12.1).
const CAPABILITIES: &str = concat!(
    r#"<?xml version="1.0" encoding="UTF-8"?>"#,
    "\n",
    r#"<xcap-caps xmlns="urn:ietf:params:xml:ns:xcap-caps"><auids>"#,
    "<auid>xcap-caps</auid><auid>org.openmobilealliance.groups</auid>",
    "<auid>org.3gpp.MCPTT-GKTP</auid></auids><extensions/><namespaces>",
    "<namespace>urn:ietf:params:xml:ns:xcap-caps</namespace>",
    "<namespace>urn:oma:xml:poc:list-service</namespace>",
    "<namespace>urn:3gpp:ns:mcpttGroupInfo:1.0</namespace>",
    "<namespace>urn:3gpp:ns:mcpttGKTP:1.0</namespace></namespaces></xcap-caps>",
);

/// Media type of the key transport document: TS 24.481 7.7 as we have it names none (UNVERIFIED).
const GKTP_MEDIA_TYPE: &str = "application/xml";

/// A document's media type, tag and text.
struct Found {
    media_type: &'static str,
    etag: String,
    text: String,
}

/// Every address that is not an endpoint of its own.
pub(super) async fn document(
    State(gms): State<Gms>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let outcome = match method {
        Method::GET | Method::HEAD => read(&gms, uri.path(), &headers).await,
        Method::PUT => write(&gms, uri.path(), &headers, &body).await,
        Method::DELETE => remove(&gms, uri.path(), &headers).await,
        _ => Err(Refusal::Method),
    };
    match outcome {
        Ok(response) => response,
        Err(refusal) => refuse(&gms, refusal, None).await,
    }
}

async fn read(gms: &Gms, path: &str, headers: &HeaderMap) -> Result<Response, Refusal> {
    let requester = requester(gms, headers).await?;
    let found = match address(gms, path)? {
        Address::Capabilities => Found {
            media_type: "application/xcap-caps+xml",
            etag: crate::groups::entity_tag(CAPABILITIES),
            text: CAPABILITIES.to_owned(),
        },
        Address::Document {
            usage,
            group_id,
            xui,
        } => {
            check_tree(gms, &requester, xui.as_deref())?;
            match usage {
                Usage::Group => group_document(gms, &requester, &group_id).await?,
                Usage::Gktp => key_document(gms, &requester, &group_id).await?,
            }
        }
    };
    let tag = quoted(&found.etag)?;
    if matches_any(headers, &header::IF_NONE_MATCH, Some(&found.etag)) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    let kind = HeaderValue::from_static(found.media_type);
    Ok((
        [(header::ETAG, tag), (header::CONTENT_TYPE, kind)],
        found.text,
    )
        .into_response())
}

async fn group_document(
    gms: &Gms,
    requester: &McServiceId,
    group_id: &str,
) -> Result<Found, Refusal> {
    //= TS 24.481 6.3.3.2.3
    let group = gms.group(group_id).await?.ok_or(Refusal::NotFound)?;
    let text = match view(&gms.config, requester, &group.document) {
        View::Full => group.document.to_xml(),
        View::WithoutMembers => group.document.without_members().to_xml(),
        View::Denied => return Err(Refusal::Forbidden("only members may read a group")),
    };
    Ok(Found {
        media_type: group::MEDIA_TYPE,
        etag: group.etag,
        text,
    })
}

/// The key transport document holds the requester's own I_MESSAGE and nobody else's.
async fn key_document(
    gms: &Gms,
    requester: &McServiceId,
    group_id: &str,
) -> Result<Found, Refusal> {
    //= TS 24.481 7.7
    let group = gms.group(group_id).await?.ok_or(Refusal::NotFound)?;
    if group.document.member(requester.as_str()).is_none() {
        return Err(Refusal::Forbidden("only members get the group's key"));
    }
    if !is_protected(&group.document) {
        return Err(Refusal::NotFound);
    }
    if gms.keys.now().is_none() {
        return Err(Refusal::NoKeys);
    }
    let key = gms.group_key(group_id).await?;
    let message = gms.key_message(&group, &key, requester.as_str(), false);
    let mikey = message.await?.octets;
    let gktp = Gktp {
        id: key.id.to_string(),
        activation_time: None,
        mikey,
    };
    let document = GktpDocument {
        gmk: Some(SingleTypeGktps {
            gktps: vec![gktp],
            ..SingleTypeGktps::default()
        }),
        ..GktpDocument::default()
    };
    Ok(Found {
        media_type: GKTP_MEDIA_TYPE,
        etag: key.id.to_string(),
        text: document.to_xml(),
    })
}

async fn write(
    gms: &Gms,
    path: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response, Refusal> {
    //= TS 24.481 6.3.4
    let requester = requester(gms, headers).await?;
    let group_id = writable(gms, &requester, path)?;
    if !is_group_media_type(headers) {
        return Err(Refusal::MediaType);
    }
    let document = GroupDocument::parse(body)?;
    if document.uri() != group_id {
        return Err(Refusal::Constraint("the group ID differs from the address"));
    }
    let changed = gms
        .put_document(&document, |etag| precondition(headers, etag))
        .await?;
    let actor = Some(requester.as_str());
    gms.audit("document_put", actor, Some(&group_id), &changed.etag)
        .await;
    let status = if changed.created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, [(header::ETAG, quoted(&changed.etag)?)]).into_response())
}

async fn remove(gms: &Gms, path: &str, headers: &HeaderMap) -> Result<Response, Refusal> {
    //= TS 24.481 6.3.5
    let requester = requester(gms, headers).await?;
    let group_id = writable(gms, &requester, path)?;
    gms.delete_document(&group_id, |etag| precondition(headers, etag))
        .await?;
    gms.audit(
        "document_deleted",
        Some(requester.as_str()),
        Some(&group_id),
        "",
    )
    .await;
    Ok(StatusCode::OK.into_response())
}

/// The group a writing request addresses, if the requester may write.
fn writable(gms: &Gms, requester: &McServiceId, path: &str) -> Result<String, Refusal> {
    let address = address(gms, path)?;
    if !gms.config.administrators.contains(requester) {
        return Err(Refusal::Forbidden("only administrators may change groups"));
    }
    match address {
        Address::Document {
            usage: Usage::Group,
            group_id,
            ..
        } => Ok(group_id),
        Address::Document {
            usage: Usage::Gktp, ..
        }
        | Address::Capabilities => Err(Refusal::Method),
    }
}

/// A users tree belongs to its user (TS 24.481 7.2.10.2); servers and administrators see all.
fn check_tree(gms: &Gms, requester: &McServiceId, xui: Option<&str>) -> Result<(), Refusal> {
    let own = xui.is_none_or(|xui| xui == requester.as_str());
    let config = &gms.config;
    let all = config.servers.contains(requester) || config.administrators.contains(requester);
    if own || all {
        Ok(())
    } else {
        Err(Refusal::Forbidden("the tree belongs to another user"))
    }
}

/// The address behind the path of the XCAP root.
fn address(gms: &Gms, path: &str) -> Result<Address, Refusal> {
    let root = gms
        .config
        .xcap_root
        .split_once("://")
        .map_or("", |(_, rest)| rest);
    let root = root.find('/').and_then(|at| root.get(at..)).unwrap_or("/");
    let relative = path.strip_prefix(root).ok_or(Refusal::NotFound)?;
    Ok(Address::parse(relative)?)
}

fn is_group_media_type(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case(group::MEDIA_TYPE))
}

/// `If-Match` and `If-None-Match` of a writing request against the present tag (RFC 9110 13.1).
fn precondition(headers: &HeaderMap, etag: Option<&str>) -> Result<(), Refusal> {
    let asked = headers.contains_key(header::IF_MATCH);
    let matched = !asked || matches_any(headers, &header::IF_MATCH, etag);
    let unwanted = matches_any(headers, &header::IF_NONE_MATCH, etag);
    if matched && !unwanted {
        Ok(())
    } else {
        Err(Refusal::Precondition)
    }
}

/// Whether one of the listed tags, or `*`, is the tag of the present document.
fn matches_any(headers: &HeaderMap, name: &header::HeaderName, etag: Option<&str>) -> bool {
    let Some(etag) = etag else { return false };
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|tag| tag.trim().trim_start_matches("W/").trim_matches('"'))
        .any(|tag| tag == "*" || tag == etag)
}

fn quoted(etag: &str) -> Result<HeaderValue, Refusal> {
    HeaderValue::try_from(format!("\"{etag}\"")).map_err(|e| Refusal::Internal(e.into()))
}
