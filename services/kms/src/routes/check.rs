//! The fields of a request against the token, this KMS, the clock and the URL (D.2.2). Pure.

use std::collections::BTreeSet;

use kms_protocol::{KmsRequest, ROOT, Resource};
use time::OffsetDateTime;
use url::Url;

use crate::error::Refusal;

/// What a request is compared with.
pub(super) struct Expected<'a> {
    pub(super) identities: &'a BTreeSet<String>,
    pub(super) kms_uri: &'a str,
    pub(super) now: OffsetDateTime,
    pub(super) max_age_s: u64,
    pub(super) resource: &'a Resource,
    /// Host and port the request was sent to; not compared when unknown.
    pub(super) authority: Option<&'a str>,
}

//= TS 33.180 D.2.2
pub(super) fn check(request: &KmsRequest, expected: &Expected<'_>) -> Result<(), Refusal> {
    if !expected.identities.contains(&request.user_uri) {
        return Err(Refusal::ForeignUser);
    }
    if request.kms_uri != expected.kms_uri {
        return Err(Refusal::OtherKms);
    }
    let age = (expected.now - request.time).unsigned_abs();
    if age.as_secs() > expected.max_age_s {
        return Err(Refusal::Stale);
    }
    if same_url(&request.client_req_url, expected) {
        Ok(())
    } else {
        Err(Refusal::OtherUrl)
    }
}

/// Both URLs name the same resource, however they are escaped, on the same host.
fn same_url(text: &str, expected: &Expected<'_>) -> bool {
    let Ok(url) = Url::parse(text) else {
        return false;
    };
    let path = url.path().strip_prefix(ROOT).map(Resource::parse);
    let resource = matches!(path, Some(Ok(resource)) if resource == *expected.resource);
    let host = expected.authority.is_none_or(|authority| {
        let absolute = Url::parse(&format!("{}://{authority}", url.scheme()));
        absolute.is_ok_and(|called| {
            (called.host_str(), called.port_or_known_default())
                == (url.host_str(), url.port_or_known_default())
        })
    });
    resource && host
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_or_not_the_url_must_be_the_same() {
        let resource = Resource::KeyProv {
            user: Some("sip:a@mc.example".to_owned()),
            time: None,
        };
        let expected = Expected {
            identities: &BTreeSet::new(),
            kms_uri: "kms.mc.example",
            now: OffsetDateTime::UNIX_EPOCH,
            max_age_s: 30,
            resource: &resource,
            authority: Some("kms.mc.example"),
        };
        let same = |tail: &str| same_url(&format!("https://{tail}"), &expected);
        assert!(same(
            "kms.mc.example/keymanagement/identity/v1/keyprov/sip%3Aa%40mc.example"
        ));
        assert!(same(
            "KMS.mc.example:443/keymanagement/identity/v1/keyprov/sip:a@mc.example"
        ));
        assert!(!same(
            "kms.mc.example/keymanagement/identity/v1/keyprov/sip:b@mc.example"
        ));
        assert!(!same("kms.mc.example/keymanagement/identity/v1/init"));
        assert!(!same(
            "kms.mc.example:8442/keymanagement/identity/v1/keyprov/sip:a@mc.example"
        ));
        assert!(!same(
            "other.example/keymanagement/identity/v1/keyprov/sip:a@mc.example"
        ));
        assert!(!same_url("not a url", &expected));
    }
}
