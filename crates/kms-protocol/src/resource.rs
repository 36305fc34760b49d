//! The resources below the root URL (D.2), as paths.

use mc_ids::NtpTime;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::KmsDocumentError;

/// Path of the root on the KMS host.
pub const ROOT: &str = "/keymanagement/identity/v1";

const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Longest path below the root that is looked at, in octets.
const MAX_PATH: usize = 1024;

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// The root certificate (D.2.3).
    Init,
    /// Key sets, of one identity and of one time (D.2.4).
    KeyProv {
        /// The identity; all of the user's without.
        user: Option<String>,
        /// A time inside the key period; now without.
        time: Option<NtpTime>,
    },
    /// Certificates of other domains (D.2.5).
    CertCache {
        /// The version the client holds.
        held: Option<u64>,
    },
    /// The certificate of one KMS (D.2.6).
    Cert {
        /// Its identifier.
        kms_uri: String,
    },
    /// Which KMS serves a user (D.2.7).
    Lookup {
        /// The user.
        user: String,
    },
    /// Upload of redirect responses (D.2.8).
    Redirect,
}

impl Resource {
    /// Reads the raw (still percent-encoded) path below [`ROOT`].
    ///
    /// Deployed clients send URIs unescaped; a colon and an at sign never separate segments, so
    /// both forms have one reading.
    ///
    /// # Errors
    /// [`KmsDocumentError::PeerResource`].
    pub fn parse(path: &str) -> Result<Self, KmsDocumentError> {
        if path.len() > MAX_PATH {
            return Err(KmsDocumentError::PeerResource);
        }
        let segments: Option<Vec<String>> = path
            .strip_prefix('/')
            .unwrap_or(path)
            .split('/')
            .map(decode)
            .collect();
        let segments = segments.ok_or(KmsDocumentError::PeerResource)?;
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        Self::from_segments(&segments).ok_or(KmsDocumentError::PeerResource)
    }

    fn from_segments(segments: &[&str]) -> Option<Self> {
        match *segments {
            ["init"] => Some(Self::Init),
            ["keyprov"] => Some(Self::KeyProv {
                user: None,
                time: None,
            }),
            ["keyprov", user] => Some(Self::KeyProv {
                user: Some(non_empty(user)?),
                time: None,
            }),
            ["keyprov", user, time] => Some(Self::KeyProv {
                user: Some(non_empty(user)?),
                time: Some(ntp(time)?),
            }),
            ["certcache"] => Some(Self::CertCache { held: None }),
            ["certcache", held] => Some(Self::CertCache {
                held: Some(held.parse().ok()?),
            }),
            ["cert", kms_uri] => Some(Self::Cert {
                kms_uri: non_empty(kms_uri)?,
            }),
            ["lookup", user] => Some(Self::Lookup {
                user: non_empty(user)?,
            }),
            ["redirect"] => Some(Self::Redirect),
            _ => None,
        }
    }

    /// The path on the KMS host, percent encoded.
    #[must_use]
    pub fn path(&self) -> String {
        let encode = |text: &str| utf8_percent_encode(text, SEGMENT).to_string();
        let below = match self {
            Self::Init => "init".to_owned(),
            Self::KeyProv { user: None, .. } => "keyprov".to_owned(),
            Self::KeyProv {
                user: Some(user),
                time: None,
            } => format!("keyprov/{}", encode(user)),
            Self::KeyProv {
                user: Some(user),
                time: Some(time),
            } => {
                format!("keyprov/{}/{:016X}", encode(user), time.0)
            }
            Self::CertCache { held: None } => "certcache".to_owned(),
            Self::CertCache { held: Some(held) } => format!("certcache/{held}"),
            Self::Cert { kms_uri } => format!("cert/{}", encode(kms_uri)),
            Self::Lookup { user } => format!("lookup/{}", encode(user)),
            Self::Redirect => "redirect".to_owned(),
        };
        format!("{ROOT}/{below}")
    }
}

fn decode(segment: &str) -> Option<String> {
    let text = percent_decode_str(segment).decode_utf8().ok()?;
    (!text.chars().any(char::is_control)).then(|| text.into_owned())
}

fn non_empty(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn ntp(text: &str) -> Option<NtpTime> {
    let hexadecimal = text.len() == 16 && text.bytes().all(|octet| octet.is_ascii_hexdigit());
    hexadecimal
        .then(|| u64::from_str_radix(text, 16).ok())?
        .map(NtpTime)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The path example of TS 33.180 D.2.4.
    const EXAMPLE: &str = "/keyprov/sip%3Auser%40example.org/D6B4323200000000";

    #[test]
    fn the_annex_example_both_ways() {
        let resource = Resource::parse(EXAMPLE).unwrap();
        let time = Some(NtpTime(0xd6b4_3232_0000_0000));
        let user = Some("sip:user@example.org".to_owned());
        assert_eq!(resource, Resource::KeyProv { user, time });
        assert_eq!(resource.path(), format!("{ROOT}{EXAMPLE}"));
    }

    #[test]
    fn an_unescaped_uri_and_a_lower_case_time_read_the_same() {
        let raw = Resource::parse("/keyprov/sip:user@example.org/d6b4323200000000").unwrap();
        assert_eq!(raw, Resource::parse(EXAMPLE).unwrap());
    }

    #[test]
    fn every_resource_round_trips() {
        let resources = [
            Resource::Init,
            Resource::KeyProv {
                user: None,
                time: None,
            },
            Resource::KeyProv {
                user: Some("mdsi.mc.example".to_owned()),
                time: None,
            },
            Resource::CertCache { held: None },
            Resource::CertCache { held: Some(7) },
            Resource::Cert {
                kms_uri: "kms.partner.example".to_owned(),
            },
            Resource::Lookup {
                user: "sip:a/b@mc.example".to_owned(),
            },
            Resource::Redirect,
        ];
        for resource in resources {
            let path = resource.path();
            assert_eq!(
                Resource::parse(path.strip_prefix(ROOT).unwrap()),
                Ok(resource)
            );
        }
    }

    #[test]
    fn anything_else_is_no_resource() {
        let long = format!("/cert/{}", "a".repeat(MAX_PATH));
        for path in [
            "/",
            "",
            "/init/",
            "/keyprov/",
            "/keyprov/u/123",
            "/keyprov/u/D6B432320000000G",
            "/keyprov/u/+6B4323200000000",
            "/certcache/-1",
            "/cert",
            "/cert/%FF",
            "/cert/a%0D%0Ab",
            "/certs",
            &long,
        ] {
            assert_eq!(
                Resource::parse(path),
                Err(KmsDocumentError::PeerResource),
                "{path}"
            );
        }
    }
}
