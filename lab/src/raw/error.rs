//! Why a line was refused: a kind that a script can match, and words for a person.

use mikey_sakke::CryptoError;
use serde_json::{Value, json};

macro_rules! kinds {
    ($($(#[$meta:meta])* $variant:ident = $name:literal, $meaning:literal;)*) => {
        /// The kind of an error.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Kind {
            $(#[doc = $meaning] $variant,)*
        }

        impl Kind {
            /// Every kind.
            pub(super) const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name in an answer.
            pub(super) const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// What it means.
            pub(super) const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$variant => $meaning,)*
                }
            }
        }
    };
}

kinds! {
    Utf8 = "utf8", "the line is not UTF-8";
    Json = "json", "the line is not one JSON object, or a name occurs twice";
    TooLong = "too-long", "the line is longer than 1 MiB; it was skipped";
    Op = "op", "`op` is missing or not in the table";
    Field = "field", "a field is unknown, missing, twice where one is allowed, or not of its type";
    Length = "length", "octets have the wrong length";
    Encoding = "encoding", "a point is not `04 || x || y` with coordinates below the prime";
    OffCurve = "off-curve", "a point does not satisfy the curve's equation";
    Subgroup = "subgroup", "a point is not in the group of prime order";
    Range = "range", "a number is out of its range";
    Mismatch = "mismatch", "keys, identifiers or certificates do not belong together";
    Signature = "signature", "a signature does not hold";
    Decapsulation = "decapsulation", "sealed data does not open";
    Integrity = "integrity", "an authentication tag, check value or digest is wrong";
    Replay = "replay", "a packet or message was seen before, or is too old";
    Time = "time", "a message was made too far from `at`";
    KeyMissing = "key-missing", "no key or certificate is given for what a message names";
    Purpose = "purpose", "the purpose tag of a key identifier is another (TS 33.180 Annex G)";
    Malformed = "malformed", "a message, packet or document cannot be read";
    Unsupported = "unsupported", "an algorithm or form outside the profile";
    Internal = "internal", "mcbox itself failed; please report it";
}

/// An error of one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Error {
    pub(super) kind: Kind,
    detail: String,
    index: Option<usize>,
}

impl Error {
    pub(super) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            index: None,
        }
    }

    pub(super) fn field(name: &str, detail: impl std::fmt::Display) -> Self {
        Self::new(Kind::Field, format!("{name}: {detail}"))
    }

    /// The same error, telling which item of a list it is about.
    pub(super) const fn at(mut self, index: usize) -> Self {
        self.index = Some(index);
        self
    }

    pub(super) fn to_json(&self) -> Value {
        let mut value = json!({"kind": self.kind.name(), "detail": self.detail});
        if let (Some(index), Some(object)) = (self.index, value.as_object_mut()) {
            object.insert("index".to_owned(), index.into());
        }
        value
    }
}

/// For people.
impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.detail, self.kind.name())?;
        match self.index {
            Some(index) => write!(f, ", item {index}"),
            None => Ok(()),
        }
    }
}

impl From<CryptoError> for Error {
    fn from(error: CryptoError) -> Self {
        let kind = match error {
            CryptoError::Length { .. } => Kind::Length,
            CryptoError::Encoding(_) => Kind::Encoding,
            CryptoError::OffCurve(_) => Kind::OffCurve,
            CryptoError::WrongSubgroup(_) => Kind::Subgroup,
            CryptoError::ScalarRange(_) | CryptoError::Unissuable => Kind::Range,
            CryptoError::KeyMismatch(_) => Kind::Mismatch,
            CryptoError::Signature => Kind::Signature,
            CryptoError::Decapsulation => Kind::Decapsulation,
            CryptoError::Fault => Kind::Internal,
        };
        Self::new(kind, error.to_string())
    }
}
