//! Reading an I_MESSAGE: every payload, every tolerated form, nothing believed yet.

use crate::variant::Variant;
use crate::wire::{
    DATA_TYPE_SAKKE, ID_SCHEME_MCX_UID, ID_TYPE_BYTES, ID_TYPE_URI, IDENTITY_RULE,
    PRF_HMAC_SHA_256, Reader, SAKKE_PARAMETER_SET_1, SIGN_HEADER, TIME_NTP_UTC, VERSION, extension,
    is_identity, payload, role,
};
use mc_ids::annex_f::Uid;
use mc_ids::{KeyId, KmsUri, NtpTime};
use mikey_sakke::{SED_OCTETS, eccsi};

/// Longest message read, in octets; a real one with every extension has about 1100.
const MAX_OCTETS: usize = 4096;
/// Most payloads read after the header.
const MAX_PAYLOADS: usize = 24;

/// Why octets are not an I_MESSAGE that can be verified. Positions count from octet 0 of the header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The message is longer than 4096 octets.
    #[error("the message has {0} octets, at most {MAX_OCTETS} are read")]
    TooLong(usize),
    /// The message ends within a payload.
    #[error("the message ends within the payload at octet {at} (RFC 3830 6)")]
    Truncated {
        /// Where the payload begins.
        at: usize,
    },
    /// A field has a value that cannot be processed.
    #[error("{field} is {found} at octet {at}; {expected} is needed ({clause})")]
    Unsupported {
        /// The field.
        field: &'static str,
        /// Its value.
        found: u32,
        /// What can be processed.
        expected: &'static str,
        /// Where the payload begins.
        at: usize,
        /// The clause that says so.
        clause: &'static str,
    },
    /// A payload occurs twice.
    #[error("a second {what} at octet {at} (TS 33.180 E.1.2)")]
    Twice {
        /// The payload.
        what: &'static str,
        /// Where it begins.
        at: usize,
    },
    /// A mandatory payload is missing.
    #[error("{0} is missing (TS 33.180 E.1.2)")]
    Missing(&'static str),
    /// An identity is not text, or not an identity.
    #[error("the identity at octet {at} is not usable: {detail}")]
    Identity {
        /// Where the payload begins.
        at: usize,
        /// What is wrong with it.
        detail: String,
    },
    /// Octets follow the signature, or a payload has octets left over.
    #[error("octets are left over at octet {at}")]
    Trailing {
        /// Where they begin.
        at: usize,
    },
}

/// The crypto session identity map of the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CsIdMap {
    /// No sessions: the default profile of the key applies (RFC 4563).
    Empty,
    /// Sessions by CS-ID and SPI, which is the MKI of the media (RFC 6043 6.1.1).
    Generic(Vec<(u8, Vec<u8>)>),
    /// The legacy map of RFC 3830 6.1.1, which MC does not use.
    SrtpId(Vec<SrtpSession>),
}

/// One session of the legacy map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SrtpSession {
    /// Number of its SP payload.
    pub policy: u8,
    /// SSRC, or 0 when it is not known yet.
    pub ssrc: u32,
    /// Roll-over counter.
    pub roc: u32,
}

/// One end of the message: by URI, by UID (hidden), or both.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Party {
    /// The identity, if sent.
    pub uri: Option<String>,
    /// The UID, if sent.
    pub uid: Option<Uid>,
}

impl Party {
    const fn is_absent(&self) -> bool {
        self.uri.is_none() && self.uid.is_none()
    }
}

/// A message as read. Nothing in it can be trusted before [`Unverified::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unverified {
    /// The octets from the header to the SIGN header, both included: what is signed.
    pub(crate) signed: Vec<u8>,
    pub(crate) signature: Vec<u8>,
    pub(crate) csb_id: KeyId,
    pub(crate) sessions: CsIdMap,
    pub(crate) time: NtpTime,
    pub(crate) rand: Vec<u8>,
    pub(crate) initiator: Party,
    pub(crate) responder: Party,
    pub(crate) kms_initiator: KmsUri,
    pub(crate) kms_responder: KmsUri,
    pub(crate) policy: Option<Vec<(u8, Vec<u8>)>>,
    pub(crate) encapsulated: [u8; SED_OCTETS],
    pub(crate) to_self: Option<[u8; SED_OCTETS]>,
    pub(crate) key_parameters: Option<Vec<u8>>,
    pub(crate) variants: Vec<Variant>,
}

/// Payloads collected in any order.
#[derive(Default)]
struct Collected {
    time: Option<NtpTime>,
    rand: Option<Vec<u8>>,
    initiator: Party,
    responder: Party,
    kms_initiator: Option<KmsUri>,
    kms_responder: Option<KmsUri>,
    policy: Option<Vec<(u8, Vec<u8>)>>,
    encapsulated: Option<[u8; SED_OCTETS]>,
    to_self: Option<[u8; SED_OCTETS]>,
    key_parameters: Option<Vec<u8>>,
    variants: Vec<Variant>,
    last_rank: u8,
}

impl Unverified {
    /// Reads a message.
    ///
    /// # Errors
    /// See [`ParseError`]; the whole message is refused.
    pub fn parse(octets: &[u8]) -> Result<Self, ParseError> {
        if octets.len() > MAX_OCTETS {
            return Err(ParseError::TooLong(octets.len()));
        }
        let mut reader = Reader::new(octets);
        let truncated = ParseError::Truncated { at: 0 };
        let (mut next, csb_id, sessions) = header(&mut reader)?.ok_or(truncated)?;
        let mut found = Collected::default();
        for _ in 0..MAX_PAYLOADS {
            let at = reader.position();
            let truncated = ParseError::Truncated { at };
            if next == payload::SIGN {
                let (signed, signature) = sign(octets, &mut reader)?.ok_or(truncated)?;
                return found.finish(csb_id, sessions, signed, signature);
            }
            next = found.payload(next, at, &mut reader)?.ok_or(truncated)?;
        }
        Err(ParseError::Missing("SIGN"))
    }

    /// The KMS whose certificate the signature would be verified with, as claimed.
    #[must_use]
    pub const fn claimed_kms_initiator(&self) -> &KmsUri {
        &self.kms_initiator
    }

    /// The KMS whose key opens the message, as claimed.
    #[must_use]
    pub const fn claimed_kms_responder(&self) -> &KmsUri {
        &self.kms_responder
    }

    /// Who claims to have sent it.
    #[must_use]
    pub const fn claimed_initiator(&self) -> &Party {
        &self.initiator
    }

    /// Whom it claims to be for.
    #[must_use]
    pub const fn claimed_responder(&self) -> &Party {
        &self.responder
    }

    /// Identifier of the key it claims to carry: the purpose tag tells which kind.
    #[must_use]
    pub const fn claimed_csb_id(&self) -> KeyId {
        self.csb_id
    }

    /// The T payload as claimed: it selects the key period of both UIDs.
    #[must_use]
    pub const fn claimed_time(&self) -> NtpTime {
        self.time
    }

    /// The crypto sessions listed in the header.
    #[must_use]
    pub const fn sessions(&self) -> &CsIdMap {
        &self.sessions
    }

    /// Types and values of the SP payload, if there is one.
    #[must_use]
    pub fn security_policy(&self) -> Option<&[(u8, Vec<u8>)]> {
        self.policy.as_deref()
    }

    /// Forms that differ from the annex's.
    #[must_use]
    pub fn variants(&self) -> &[Variant] {
        &self.variants
    }
}

type Header = (u8, KeyId, CsIdMap);

/// The header (RFC 3830 6.1): first payload, CSB-ID and map. `Ok(None)` when it is cut short.
fn header(reader: &mut Reader<'_>) -> Result<Option<Header>, ParseError> {
    let Some([version, data_type, next, v_prf]) = reader.array() else {
        return Ok(None);
    };
    let wrong = |field, found: u8, expected, clause| {
        Err(ParseError::Unsupported {
            field,
            found: found.into(),
            expected,
            at: 0,
            clause,
        })
    };
    if version != VERSION {
        return wrong("the version", version, "1", "RFC 3830 6.1");
    }
    if data_type != DATA_TYPE_SAKKE {
        return wrong("the data type", data_type, "26 (SAKKE)", "RFC 6509 4.1");
    }
    if v_prf != PRF_HMAC_SHA_256 {
        return wrong(
            "V and PRF",
            v_prf,
            "V 0, PRF-HMAC-SHA-256 (1)",
            "TS 33.180 E.1.2",
        );
    }
    let Some((csb_id, [count, map_type])) = reader.u32().zip(reader.array()) else {
        return Ok(None);
    };
    let map = match (map_type, count) {
        (1, 0) => Some(CsIdMap::Empty),
        (0, _) => srtp_id_map(reader, count).map(CsIdMap::SrtpId),
        (2, _) => generic_map(reader, count).map(CsIdMap::Generic),
        _ => {
            return wrong(
                "the CS ID map type",
                map_type,
                "0, 1 with #CS 0, or 2",
                "RFC 4563 5",
            );
        }
    };
    Ok(map.map(|map| (next, KeyId(csb_id), map)))
}

/// Nine octets for each session of the SRTP-ID map (RFC 3830 6.1.1).
fn srtp_id_map(reader: &mut Reader<'_>, count: u8) -> Option<Vec<SrtpSession>> {
    let session = |reader: &mut Reader<'_>| {
        Some(SrtpSession {
            policy: reader.u8()?,
            ssrc: reader.u32()?,
            roc: reader.u32()?,
        })
    };
    (0..count).map(|_| session(reader)).collect()
}

/// Blocks of the GENERIC-ID map (RFC 6043 6.1.1): CS-ID and SPI of each.
fn generic_map(reader: &mut Reader<'_>, count: u8) -> Option<Vec<(u8, Vec<u8>)>> {
    let mut sessions = Vec::new();
    for _ in 0..count {
        let [cs_id, _protocol, flags] = reader.array()?;
        let _policies = reader.take(usize::from(flags & 0x7F))?;
        let _session_data = reader.field16()?;
        let spi_length = reader.u8()?;
        sessions.push((cs_id, reader.take(spi_length.into())?.to_vec()));
    }
    Some(sessions)
}

/// What is signed and the signature: always the last payload (TS 33.180 E.1.2).
type Signed = (Vec<u8>, Vec<u8>);

fn sign(octets: &[u8], reader: &mut Reader<'_>) -> Result<Option<Signed>, ParseError> {
    let at = reader.position();
    let Some(head) = reader.array::<2>() else {
        return Ok(None);
    };
    if head != SIGN_HEADER {
        return Err(ParseError::Unsupported {
            field: "the signature's type and length",
            found: u16::from_be_bytes(head).into(),
            expected: "ECCSI (2) and 129 octets",
            at,
            clause: "RFC 6509 4.3",
        });
    }
    let end = reader.position();
    let Some(signature) = reader.take(eccsi::SIGNATURE_OCTETS) else {
        return Ok(None);
    };
    if !reader.is_empty() {
        return Err(ParseError::Trailing {
            at: reader.position(),
        });
    }
    Ok(octets
        .get(..end)
        .map(|signed| (signed.to_vec(), signature.to_vec())))
}

impl Collected {
    /// Reads one payload and gives the type of the next. `Ok(None)` when it is cut short.
    fn payload(
        &mut self,
        kind: u8,
        at: usize,
        reader: &mut Reader<'_>,
    ) -> Result<Option<u8>, ParseError> {
        let Some(next) = reader.u8() else {
            return Ok(None);
        };
        let done = match kind {
            payload::TIME => self.time(at, reader)?,
            payload::RAND => self.rand(at, reader)?,
            payload::IDR => self.identity(at, reader)?,
            payload::SP => self.policy(at, reader)?,
            payload::SAKKE => {
                let Some(data) = sakke(at, reader)? else {
                    return Ok(None);
                };
                Some(set(&mut self.encapsulated, data, "SAKKE", at)?)
            }
            payload::EXTENSION => self.extension(at, reader)?,
            _ => {
                let field = if kind == payload::LAST {
                    "the next payload"
                } else {
                    "a payload's type"
                };
                let (found, clause) = (kind.into(), "TS 33.180 E.1.2");
                let expected = "T, RAND, IDR, SP, SAKKE, an extension or SIGN";
                return Err(ParseError::Unsupported {
                    field,
                    found,
                    expected,
                    at,
                    clause,
                });
            }
        };
        self.note_order(kind);
        Ok(done.map(|()| next))
    }

    fn note_order(&mut self, kind: u8) {
        let order = [
            payload::TIME,
            payload::RAND,
            payload::IDR,
            payload::SP,
            payload::SAKKE,
        ];
        let rank = order.iter().position(|k| *k == kind).unwrap_or(order.len());
        let rank = u8::try_from(rank).unwrap_or(u8::MAX);
        if rank < self.last_rank && !self.variants.contains(&Variant::PayloadOrder) {
            self.variants.push(Variant::PayloadOrder);
        }
        self.last_rank = rank;
    }

    fn time(&mut self, at: usize, reader: &mut Reader<'_>) -> Result<Option<()>, ParseError> {
        let Some((kind, time)) = reader.u8().zip(reader.array()) else {
            return Ok(None);
        };
        if kind != TIME_NTP_UTC {
            return Err(ParseError::Unsupported {
                field: "the timestamp's type",
                found: kind.into(),
                expected: "0 (NTP-UTC)",
                at,
                clause: "TS 33.180 E.1.2",
            });
        }
        set(&mut self.time, NtpTime(u64::from_be_bytes(time)), "T", at).map(Some)
    }

    fn rand(&mut self, at: usize, reader: &mut Reader<'_>) -> Result<Option<()>, ParseError> {
        let Some(length) = reader.u8() else {
            return Ok(None);
        };
        if length < 16 {
            return Err(ParseError::Unsupported {
                field: "the length of RAND",
                found: length.into(),
                expected: "16 octets or more",
                at,
                clause: "RFC 3830 6.11",
            });
        }
        let Some(rand) = reader.take(length.into()) else {
            return Ok(None);
        };
        set(&mut self.rand, rand.to_vec(), "RAND", at).map(Some)
    }

    fn identity(&mut self, at: usize, reader: &mut Reader<'_>) -> Result<Option<()>, ParseError> {
        let Some([role, kind]) = reader.array() else {
            return Ok(None);
        };
        let Some(data) = reader.field16() else {
            return Ok(None);
        };
        match role {
            role::INITIATOR => set(&mut self.initiator.uri, uri(kind, data, at)?, "IDRi", at)?,
            role::RESPONDER => set(&mut self.responder.uri, uri(kind, data, at)?, "IDRr", at)?,
            role::KMS_INITIATOR => {
                set(&mut self.kms_initiator, kms(kind, data, at)?, "IDRkmsi", at)?;
            }
            role::KMS_RESPONDER => {
                set(&mut self.kms_responder, kms(kind, data, at)?, "IDRkmsr", at)?;
            }
            role::UID_INITIATOR => {
                let uid = self.uid(kind, data, at)?;
                set(&mut self.initiator.uid, uid, "IDRuidi", at)?;
            }
            role::UID_RESPONDER => {
                let uid = self.uid(kind, data, at)?;
                set(&mut self.responder.uid, uid, "IDRuidr", at)?;
            }
            found => {
                return Err(ParseError::Unsupported {
                    field: "an identity's role",
                    found: found.into(),
                    expected: "1, 2, 6, 7, 8 or 9",
                    at,
                    clause: "TS 33.180 E.1.2",
                });
            }
        }
        Ok(Some(()))
    }

    fn uid(&mut self, kind: u8, data: &[u8], at: usize) -> Result<Uid, ParseError> {
        if kind == ID_TYPE_URI {
            self.note(Variant::UidAsUri);
        } else if kind != ID_TYPE_BYTES {
            return Err(wrong_id_type(kind, at));
        }
        self.note(Variant::HiddenIdentities);
        let detail = || format!("a UID has 32 octets, not {}", data.len());
        let uid = data.try_into().map_err(|_| ParseError::Identity {
            at,
            detail: detail(),
        })?;
        Ok(Uid(uid))
    }

    fn note(&mut self, variant: Variant) {
        if !self.variants.contains(&variant) {
            self.variants.push(variant);
        }
    }

    fn policy(&mut self, at: usize, reader: &mut Reader<'_>) -> Result<Option<()>, ParseError> {
        let Some([_number, _protocol]) = reader.array() else {
            return Ok(None);
        };
        let Some(data) = reader.field16() else {
            return Ok(None);
        };
        let mut parameters = Vec::new();
        let mut inner = Reader::new(data);
        while !inner.is_empty() {
            let Some([kind, length]) = inner.array() else {
                return Ok(None);
            };
            let Some(value) = inner.take(length.into()) else {
                return Ok(None);
            };
            parameters.push((kind, value.to_vec()));
        }
        set(&mut self.policy, parameters, "SP", at).map(Some)
    }

    fn extension(&mut self, at: usize, reader: &mut Reader<'_>) -> Result<Option<()>, ParseError> {
        let Some(kind) = reader.u8() else {
            return Ok(None);
        };
        let Some(data) = reader.field16() else {
            return Ok(None);
        };
        match kind {
            extension::SAKKE_TO_SELF => {
                let mut inner = Reader::new(data);
                let _next = inner.u8();
                let Some(data) = sakke(at, &mut inner)? else {
                    return Ok(None);
                };
                if !inner.is_empty() {
                    return Err(ParseError::Trailing { at });
                }
                set(&mut self.to_self, data, "SAKKE-to-self", at)?;
            }
            extension::KEY_PARAMETERS => {
                set(
                    &mut self.key_parameters,
                    data.to_vec(),
                    "key parameters",
                    at,
                )?;
            }
            // RFC 3830 6.15: an extension that is not known is skipped.
            _ => {}
        }
        Ok(Some(()))
    }

    fn finish(
        mut self,
        csb_id: KeyId,
        sessions: CsIdMap,
        signed: Vec<u8>,
        signature: Vec<u8>,
    ) -> Result<Unverified, ParseError> {
        if self.initiator.is_absent() {
            return Err(ParseError::Missing("IDRi"));
        }
        if self.responder.is_absent() {
            return Err(ParseError::Missing("IDRr"));
        }
        if self.policy.is_some() && sessions == CsIdMap::Empty {
            self.note(Variant::PolicyWithEmptyMap);
        }
        if matches!(sessions, CsIdMap::SrtpId(_)) {
            self.note(Variant::SrtpIdMap);
        }
        let missing = ParseError::Missing;
        Ok(Unverified {
            signed,
            signature,
            csb_id,
            sessions,
            time: self.time.ok_or(missing("T"))?,
            rand: self.rand.ok_or(missing("RAND"))?,
            initiator: self.initiator,
            responder: self.responder,
            kms_initiator: self.kms_initiator.ok_or(missing("IDRkmsi"))?,
            kms_responder: self.kms_responder.ok_or(missing("IDRkmsr"))?,
            policy: self.policy,
            encapsulated: self.encapsulated.ok_or(missing("SAKKE"))?,
            to_self: self.to_self,
            key_parameters: self.key_parameters,
            variants: self.variants,
        })
    }
}

/// A SAKKE payload after its next-payload octet (RFC 6509 4.2).
fn sakke(at: usize, reader: &mut Reader<'_>) -> Result<Option<[u8; SED_OCTETS]>, ParseError> {
    let Some([parameters, scheme]) = reader.array() else {
        return Ok(None);
    };
    let wrong = |field, found: u32, expected, clause| {
        Err(ParseError::Unsupported {
            field,
            found,
            expected,
            at,
            clause,
        })
    };
    if parameters != SAKKE_PARAMETER_SET_1 {
        return wrong(
            "the SAKKE parameter set",
            parameters.into(),
            "1",
            "RFC 6509 4.2",
        );
    }
    if scheme != ID_SCHEME_MCX_UID {
        return wrong(
            "the identifier scheme",
            scheme.into(),
            "2 (MCX hashed UID)",
            "TS 33.180 E.5",
        );
    }
    let Some(length) = reader.u16() else {
        return Ok(None);
    };
    if usize::from(length) != SED_OCTETS {
        return wrong(
            "the length of the SAKKE data",
            length.into(),
            "273",
            "RFC 6508 4",
        );
    }
    Ok(reader.array())
}

fn set<T>(
    place: &mut Option<T>,
    value: T,
    what: &'static str,
    at: usize,
) -> Result<(), ParseError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(ParseError::Twice { what, at }),
    }
}

fn uri(kind: u8, data: &[u8], at: usize) -> Result<String, ParseError> {
    if kind != ID_TYPE_URI {
        return Err(wrong_id_type(kind, at));
    }
    let text = std::str::from_utf8(data);
    let text = text.map_err(|e| ParseError::Identity {
        at,
        detail: e.to_string(),
    })?;
    if is_identity(text) {
        Ok(text.to_owned())
    } else {
        let detail = IDENTITY_RULE.to_owned();
        Err(ParseError::Identity { at, detail })
    }
}

fn kms(kind: u8, data: &[u8], at: usize) -> Result<KmsUri, ParseError> {
    let text = uri(kind, data, at)?;
    KmsUri::new(text).map_err(|e| ParseError::Identity {
        at,
        detail: e.to_string(),
    })
}

const fn wrong_id_type(found: u8, at: usize) -> ParseError {
    ParseError::Unsupported {
        field: "an identity's type",
        found: found as u32,
        expected: "1 (URI), or 2 (octets) for a UID",
        at,
        clause: "RFC 6043 6.6",
    }
}
