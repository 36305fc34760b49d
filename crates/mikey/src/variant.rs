//! The wire forms of peers that differ from the annex, and what each is called.

use std::fmt;

/// A wire form that Annex E does not describe and peers are known to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Variant {
    /// An SP payload beside an empty crypto session map, against RFC 4563 5.
    PolicyWithEmptyMap,
    /// The SRTP-ID map of RFC 3830 (type 0) instead of GENERIC-ID.
    SrtpIdMap,
    /// Payloads in another order than the annex's.
    PayloadOrder,
    /// Identities hidden behind UIDs (E.7).
    HiddenIdentities,
    /// A UID in an identity payload of type URI.
    UidAsUri,
    /// Key parameters without protection, of older peers; taken only if
    /// [`OpenPolicy::plain_key_parameters`](crate::OpenPolicy::plain_key_parameters) says so.
    PlainKeyParameters,
    /// Key parameters that cannot be opened, or that the policy does not take; the key itself is
    /// good.
    UnreadableKeyParameters,
    /// The signature leaves out the two octets of the SIGN header; accepted only if
    /// [`VerifyPolicy::lenient_sign`](crate::VerifyPolicy::lenient_sign) says so.
    SignedWithoutHeader,
    /// The mask of the key was hashed from g^r without its leading zero octets, which happens in
    /// one message of 256; accepted only if
    /// [`OpenPolicy::shortened_mask`](crate::OpenPolicy::shortened_mask) says so.
    ShortenedMask,
}

impl Variant {
    /// Every variant.
    pub const ALL: [Self; 9] = [
        Self::PolicyWithEmptyMap,
        Self::SrtpIdMap,
        Self::PayloadOrder,
        Self::HiddenIdentities,
        Self::UidAsUri,
        Self::PlainKeyParameters,
        Self::UnreadableKeyParameters,
        Self::SignedWithoutHeader,
        Self::ShortenedMask,
    ];

    /// A stable name for logs and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PolicyWithEmptyMap => "policy-with-empty-map",
            Self::SrtpIdMap => "srtp-id-map",
            Self::PayloadOrder => "payload-order",
            Self::HiddenIdentities => "hidden-identities",
            Self::UidAsUri => "uid-as-uri",
            Self::PlainKeyParameters => "plain-key-parameters",
            Self::UnreadableKeyParameters => "unreadable-key-parameters",
            Self::SignedWithoutHeader => "signed-without-header",
            Self::ShortenedMask => "shortened-mask",
        }
    }

    /// The compatibility switch without which the message is refused, or the part left aside.
    #[must_use]
    pub const fn switch(self) -> Option<&'static str> {
        match self {
            Self::SignedWithoutHeader => Some("lenient_sign"),
            Self::ShortenedMask => Some("shortened_mask"),
            Self::PlainKeyParameters => Some("plain_key_parameters"),
            Self::PolicyWithEmptyMap
            | Self::SrtpIdMap
            | Self::PayloadOrder
            | Self::HiddenIdentities
            | Self::UidAsUri
            | Self::UnreadableKeyParameters => None,
        }
    }
}

/// What the peer does, in words for a log.
impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PolicyWithEmptyMap => "SP payload beside an empty map (RFC 4563 5 forbids it)",
            Self::SrtpIdMap => "SRTP-ID map (type 0) instead of GENERIC-ID",
            Self::PayloadOrder => "payloads in another order than TS 33.180 E.1.2",
            Self::HiddenIdentities => "identities hidden behind UIDs (TS 33.180 E.7)",
            Self::UidAsUri => "UID in an identity payload of type URI",
            Self::PlainKeyParameters => "key parameters without protection",
            Self::UnreadableKeyParameters => "key parameters that cannot be opened",
            Self::SignedWithoutHeader => "signature without the SIGN header",
            Self::ShortenedMask => "g^r hashed without its leading zero octet",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Variant;
    use std::collections::BTreeSet;

    #[test]
    fn every_variant_has_a_name_and_words_of_its_own() {
        let names: BTreeSet<_> = Variant::ALL.iter().map(|v| v.name()).collect();
        let words: BTreeSet<_> = Variant::ALL.iter().map(ToString::to_string).collect();
        assert_eq!(
            (names.len(), words.len()),
            (Variant::ALL.len(), Variant::ALL.len())
        );
    }
}
