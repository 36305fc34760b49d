//! Addresses of documents (TS 24.481 7.2.10, RFC 4825 6).
//!
//! An address is what stands behind the XCAP root, in a URL or in an xcap-diff selector. Escapes
//! are undone before anything is compared: `sip%3Ax%40y` and `sip:x@y` are the same.

use mc_xml::{gktp, group};
use percent_encoding::percent_decode_str;

/// Longest address read, octets.
const MAX_ADDRESS: usize = 2048;

/// The kinds of documents about a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Usage {
    /// Group document.
    Group,
    /// Group key transport payloads.
    Gktp,
}

/// A document's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// The capabilities document (RFC 4825 12).
    Capabilities,
    /// A document about a group.
    Document {
        /// Which kind.
        usage: Usage,
        /// The group.
        group_id: String,
        /// The user in whose tree it is addressed; `None` in the global tree.
        xui: Option<String>,
    },
}

/// Why an address leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No such application usage, tree or document.
    #[error("no such document (TS 24.481 7.2.10)")]
    Unknown,
    /// A part of a document is addressed.
    #[error("node selectors are not supported")]
    NodeSelector,
}

impl Address {
    /// Reads an address relative to the XCAP root; a leading slash is tolerated.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if text.len() > MAX_ADDRESS {
            return Err(AddressError::Unknown);
        }
        let text = text.trim_start_matches('/');
        let segments = text.split('/').map(decoded).collect::<Option<Vec<_>>>();
        let segments = segments.ok_or(AddressError::Unknown)?;
        if segments.iter().any(|segment| segment == "~~") {
            return Err(AddressError::NodeSelector);
        }
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        match segments.as_slice() {
            ["xcap-caps", "global", "index"] => Ok(Self::Capabilities),
            // Deployed clients write `byGroup`.
            [auid, "global", "byGroupID" | "byGroup", group_id] => {
                Self::document(auid, group_id, None)
            }
            [auid, "users", xui, group_id] => Self::document(auid, group_id, Some(xui)),
            _ => Err(AddressError::Unknown),
        }
    }

    fn document(auid: &str, group_id: &str, xui: Option<&str>) -> Result<Self, AddressError> {
        //= TS 24.481 7.2.10.2
        let usage = match auid {
            group::AUID => Usage::Group,
            gktp::AUID => Usage::Gktp,
            _ => return Err(AddressError::Unknown),
        };
        if group_id.is_empty() || xui.is_some_and(str::is_empty) {
            return Err(AddressError::Unknown);
        }
        Ok(Self::Document {
            usage,
            group_id: group_id.to_owned(),
            xui: xui.map(str::to_owned),
        })
    }
}

fn decoded(segment: &str) -> Option<String> {
    let text = percent_decode_str(segment).decode_utf8().ok()?;
    (!text.chars().any(char::is_control)).then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_trees_the_alias_and_escapes_are_read() {
        let global = |usage| Address::Document {
            usage,
            group_id: "sip:fire-1@mc.example".into(),
            xui: None,
        };
        for text in [
            "/org.openmobilealliance.groups/global/byGroupID/sip:fire-1@mc.example",
            "org.openmobilealliance.groups/global/byGroup/sip%3Afire-1%40mc.example",
        ] {
            assert_eq!(Address::parse(text), Ok(global(Usage::Group)), "{text}");
        }
        let gktp = "org.3gpp.MCPTT-GKTP/global/byGroupID/sip:fire-1@mc.example";
        assert_eq!(Address::parse(gktp), Ok(global(Usage::Gktp)));
        let users =
            "org.openmobilealliance.groups/users/sip:alice@mc.example/sip:fire-1@mc.example";
        assert!(matches!(
            Address::parse(users),
            Ok(Address::Document { xui: Some(xui), .. }) if xui == "sip:alice@mc.example"
        ));
        assert_eq!(
            Address::parse("/xcap-caps/global/index"),
            Ok(Address::Capabilities)
        );
    }

    #[test]
    fn everything_else_leads_nowhere() {
        for text in [
            "",
            "/",
            "org.openmobilealliance.groups",
            "org.openmobilealliance.groups/global/byGroupID/",
            "org.openmobilealliance.groups/global/byGroupID/a/b",
            "org.openmobilealliance.groups/global/byGroupID/%ff",
            "org.openmobilealliance.groups/global/byGroupID/a%0d%0ab",
            "org.openmobilealliance.groups/users//x",
            "resource-lists/global/byGroupID/x",
            "org.openmobilealliance.groups/global/byGroupID/../x",
            &"a".repeat(3000),
        ] {
            assert_eq!(Address::parse(text), Err(AddressError::Unknown), "{text}");
        }
        let node = "org.openmobilealliance.groups/global/byGroupID/x/~~/group";
        assert_eq!(Address::parse(node), Err(AddressError::NodeSelector));
    }
}
