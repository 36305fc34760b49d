//! Certificates, key sets and times as JSON: the same in `mikey.open`, `mikey.make`, `kms.parse`
//! and the key files of `mcbox mikey`.

use super::args::{Args, Field, Type};
use super::error::{Error, Kind};
use super::op::hex;
use super::uid::key_period;
use ::mikey::{KeySetAtHand, KmsCertificate, UserKeys};
use mc_ids::annex_f::Uid;
use mc_ids::{KmsUri, NtpTime};
use mikey_sakke::{eccsi, sakke};
use serde_json::{Map, Value, json};
use std::time::Duration;
use zeroize::Zeroizing;

/// A KMS certificate.
pub(super) const CERTIFICATE: &[Field] = &[
    Field::new("kms_uri", Type::Text),
    Field::hex("public_encryption"),
    Field::hex("public_authentication"),
    Field::new("period", Type::Integer),
    Field::new("offset", Type::Integer),
];

/// The keys of one identity for one key period.
pub(super) const KEYSET: &[Field] = &[
    Field::new("uri", Type::Text),
    Field::hex("uid").optional(),
    Field::hex("decrypt_key"),
    Field::hex("ssk"),
    Field::hex("pvt"),
    Field::new("number", Type::Integer),
];

pub(super) const CERTIFICATES: Field = Field::new("certificates", Type::Objects(CERTIFICATE));
pub(super) const KEYSETS: Field = Field::new("keysets", Type::Objects(KEYSET));

/// Certificates and key sets of a key file.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    pub(crate) certificates: Vec<KmsCertificate>,
    pub(crate) keysets: Vec<KeySetAtHand>,
    secrets: Vec<Signing>,
}

#[derive(Debug)]
struct Signing {
    ssk: Zeroizing<Vec<u8>>,
    pvt: Vec<u8>,
}

impl Keys {
    /// The `certificates` and `keysets` of a request or file.
    pub(super) fn of(args: &Args<'_>) -> Result<Self, Error> {
        let mut keys = Self::default();
        for (at, item) in args.objects("certificates").iter().enumerate() {
            keys.certificates
                .push(certificate(item).map_err(|e| e.at(at))?);
        }
        for (at, item) in args.objects("keysets").iter().enumerate() {
            let (set, signing) = keyset(item).map_err(|e| e.at(at))?;
            keys.keysets.push(set);
            keys.secrets.push(signing);
        }
        Ok(keys)
    }

    /// Reads a key file: one JSON object with `certificates` and `keysets`, as `kms.parse` answers.
    pub(crate) fn read(octets: &[u8]) -> Result<Self, String> {
        let object = super::json::object(octets).map_err(|e| e.to_string())?;
        let only: Map<_, _> = object
            .into_iter()
            .filter(|(name, _)| name == "certificates" || name == "keysets")
            .collect();
        let fields = [CERTIFICATES.optional(), KEYSETS.optional()];
        let args = Args::of(&only, &fields);
        args.and_then(|args| Self::of(&args))
            .map_err(|e| e.to_string())
    }

    pub(super) fn certificate(&self, uri: &KmsUri) -> Result<&KmsCertificate, Error> {
        let found = self.certificates.iter().find(|c| c.kms_uri == *uri);
        found.ok_or_else(|| Error::new(Kind::KeyMissing, format!("no certificate of KMS {uri}")))
    }

    /// The validated key set of an identity at a KMS, in a key period.
    pub(super) fn user(
        &self,
        identity: &str,
        kms: &KmsCertificate,
        number: u64,
    ) -> Result<UserKeys, Error> {
        let at = self
            .keysets
            .iter()
            .position(|k| k.uri == identity && k.number == number);
        let missing = || {
            let detail = format!("no key set of {identity} for key period {number}");
            Error::new(Kind::KeyMissing, detail)
        };
        self.validated(at.ok_or_else(missing)?, kms)
    }

    /// Every key set that belongs to a KMS. One whose UID, or whose keys, are of another KMS of the
    /// request is left out; one that fits none is an error.
    pub(super) fn users(&self, kms: &KmsCertificate) -> Result<Vec<UserKeys>, Error> {
        let mut users = Vec::new();
        for (at, set) in self.keysets.iter().enumerate() {
            let is_of = |kms: &KmsCertificate| {
                let uid = Uid::of_period(&set.uri, &kms.kms_uri, kms.period, set.number);
                set.uid == Some(uid)
            };
            let others = self
                .certificates
                .iter()
                .filter(|c| c.kms_uri != kms.kms_uri);
            let elsewhere = match set.uid {
                Some(_) => others.into_iter().any(is_of),
                None => others.count() > 0,
            };
            match self.validated(at, kms) {
                Ok(keys) => users.push(keys),
                Err(_) if elsewhere => {}
                Err(error) => return Err(error.at(at)),
            }
        }
        Ok(users)
    }

    fn validated(&self, at: usize, kms: &KmsCertificate) -> Result<UserKeys, Error> {
        let (Some(set), Some(signing)) = (self.keysets.get(at), self.secrets.get(at)) else {
            return Err(Error::new(Kind::Internal, "a key set has no secrets"));
        };
        let keys = UserKeys::validated(
            kms,
            &set.uri,
            set.number,
            &set.decrypt_key,
            &signing.ssk,
            &signing.pvt,
        );
        let keys = keys.map_err(|error| {
            let kind = Error::from(error.source).kind;
            Error::new(kind, error.to_string())
        })?;
        match set.uid {
            Some(uid) if uid != *keys.uid() => {
                let detail = format!(
                    "uid of {}: {:?} is needed, {uid:?} is given",
                    set.uri,
                    keys.uid()
                );
                Err(Error::new(Kind::Mismatch, detail))
            }
            _ => Ok(keys),
        }
    }
}

pub(super) fn kms_uri(text: &str) -> Result<KmsUri, Error> {
    KmsUri::new(text).map_err(|e| Error::field("kms_uri", e))
}

fn certificate(args: &Args<'_>) -> Result<KmsCertificate, Error> {
    Ok(KmsCertificate {
        kms_uri: kms_uri(args.text("kms_uri"))?,
        period: key_period(args)?,
        encryption: sakke::PublicKey::from_octets(&args.octets("public_encryption")?)?,
        authentication: eccsi::AuthenticationKey::from_octets(
            &args.octets("public_authentication")?,
        )?,
        is_security_gateway: false,
        domains: mikey::Domains::Unlisted,
    })
}

fn keyset(args: &Args<'_>) -> Result<(KeySetAtHand, Signing), Error> {
    let uid = match args.has("uid") {
        true => Some(Uid(args.array("uid")?)),
        false => None,
    };
    let set = KeySetAtHand {
        uri: args.identity("uri")?.to_owned(),
        number: args.integer("number").unwrap_or_default(),
        uid,
        decrypt_key: Zeroizing::new(args.octets("decrypt_key")?),
    };
    let signing = Signing {
        ssk: Zeroizing::new(args.octets("ssk")?),
        pvt: args.octets("pvt")?,
    };
    Ok((set, signing))
}

/// A certificate as an answer has it.
pub(super) fn certificate_json(
    kms_uri: &KmsUri,
    (encryption, authentication): (&[u8], &[u8]),
    period: mc_ids::KeyPeriod,
) -> Value {
    json!({
        "kms_uri": kms_uri.as_str(),
        "public_encryption": hex(encryption),
        "public_authentication": hex(authentication),
        "period": period.period(),
        "offset": period.offset(),
    })
}

/// A time: RFC 3339, or an NTP timestamp of 16 hexadecimal digits.
pub(super) fn time_of(name: &str, text: &str) -> Result<NtpTime, Error> {
    if text.len() == 16 && text.bytes().all(|octet| octet.is_ascii_hexdigit()) {
        let ntp = u64::from_str_radix(text, 16).map_err(|e| Error::field(name, e))?;
        return Ok(NtpTime(ntp));
    }
    let date = kms_protocol::parse_date(text);
    let date = date.ok_or_else(|| {
        Error::field(
            name,
            "a time such as 2026-11-24T01:02:03Z or 16 hexadecimal digits is needed",
        )
    })?;
    let nanos = u64::try_from(date.unix_timestamp_nanos());
    let nanos = nanos.map_err(|_| Error::field(name, "before 1970"))?;
    Ok(NtpTime::from_unix(Duration::from_nanos(nanos)))
}
