//! Where a 300 names the user who has the called functional alias active (TS 24.379 11.1.1.2.1.1,
//! 11.1.1.3.1.1).

use mc_ids::McServiceId;
use mc_sip::mcptt::media;
use mc_sip::{Headers, Multipart, NameAddr, Response, Uri, name, token};
use mc_xml::mcptt_info::{Content, McpttInfo};
use mc_xml::resource_lists::ResourceLists;
use rand_core::CryptoRng;
use serde::Deserialize;

use super::{BodyProtection, Demand, Seal};

/// UNVERIFIED: our sources of the clauses name the response and not its content. Server and clients
/// must be told the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResolvedAlias {
    /// `mcptt-request-uri` of an mcptt-info body: the form in which every request names whom it is
    /// for.
    #[default]
    McpttInfo,
    /// The entry of a resource-lists body: the form in which a private call names whom it calls.
    ResourceLists,
    /// The Contact header field (RFC 3261 21.3.1), the URI encrypted as in an attribute (TS 33.180
    /// 9.3.4.3). No signature covers it.
    Contact,
}

impl ResolvedAlias {
    /// Adds the user to a 300 of `function`.
    #[must_use]
    pub fn write(
        self,
        response: Response,
        (function, user): (&Uri, &McServiceId),
        seal: &Seal<'_>,
        rng: &mut impl CryptoRng,
    ) -> Response {
        let user = user.as_str();
        let part = match self {
            Self::Contact => {
                let contact = format!("<{}>", seal.attribute(user, rng));
                return response.with(name::CONTACT, contact);
            }
            Self::ResourceLists => seal.recipients(&[user], rng),
            Self::McpttInfo => {
                let resolved = McpttInfo {
                    request_uri: Some(Content::uri_value(user)),
                    ..McpttInfo::default()
                };
                seal.info(resolved, rng)
            }
        };
        let parts = seal.sign(Multipart::default().with(part), rng);
        let (content_type, body) = parts.write(&token::boundary(rng));
        response
            .with(name::CONTACT, NameAddr::new(function.clone()).to_string())
            .with_body(&content_type, body)
    }

    /// The user that a 300 names; `None` when it names none, or not in the form that is asked for.
    #[must_use]
    pub fn read(
        self,
        headers: &Headers,
        body: &[u8],
        demand: Demand,
        keys: &BodyProtection,
    ) -> Option<McServiceId> {
        let parts = || Multipart::of(headers, body).ok();
        let uri = match self {
            Self::McpttInfo => {
                let info = demand.open(&parts()?, Some(keys)).ok()?;
                info.request_uri?.uri()?.to_owned()
            }
            Self::ResourceLists => {
                let parts = parts()?;
                demand.verify(&parts, Some(keys)).ok()?;
                let list = ResourceLists::parse(&parts.get(media::RESOURCE_LISTS)?.content).ok()?;
                demand.attribute(list.uris.first()?, Some(keys)).ok()?
            }
            Self::Contact => {
                let contact = headers.contacts().ok()?.into_iter().next()?;
                demand
                    .attribute(&contact.uri.to_string(), Some(keys))
                    .ok()?
            }
        };
        McServiceId::new(uri).ok()
    }
}

#[cfg(test)]
mod tests;
