//! `mcbox mikey make`: `mikey.make` of `mcbox raw` with defaults for what a person leaves out.

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use mc_ids::{KeyId, KeyPurpose};
use rand_core::Rng as _;
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use time::OffsetDateTime;

/// Arguments of `mcbox mikey make`.
#[derive(Debug, Args)]
pub struct Make {
    /// Certificates and key sets (JSON). May be given several times.
    #[arg(long, required = true)]
    keys: Vec<PathBuf>,
    /// Which key the message carries.
    #[arg(long, value_enum)]
    kind: Kind,
    /// The signer's identity, as its key set has it.
    #[arg(long)]
    from: String,
    /// Whom the key is for, exactly as provisioned.
    #[arg(long)]
    to: String,
    /// The key, 16 octets in hexadecimal.
    #[arg(long)]
    key: Option<String>,
    /// The key identifier, 4 octets in hexadecimal; its first digit is the purpose tag.
    #[arg(long)]
    key_id: Option<String>,
    /// RAND, 16 octets in hexadecimal. All members of a group need the same.
    #[arg(long)]
    rand: Option<String>,
    /// Time of the message (RFC 3339).
    #[arg(long)]
    time: Option<String>,
    /// Adds a SAKKE-to-self extension.
    #[arg(long)]
    to_self: bool,
    /// Names the two ends by URI, by UID (hidden) or by both.
    #[arg(long, value_enum, default_value_t)]
    identities: Identities,
    /// A group the key is for; adds key parameters. May be given several times.
    #[arg(long)]
    group: Vec<String>,
    /// Prints the whole answer as JSON, key and identifiers included.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    Gmk,
    Pck,
    Csk,
    Spk,
    Musik,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Identities {
    #[default]
    Uri,
    Uid,
    Both,
}

impl Kind {
    const fn name_and_purpose(self) -> (&'static str, KeyPurpose) {
        match self {
            Self::Gmk => ("gmk", KeyPurpose::Gmk),
            Self::Pck => ("pck", KeyPurpose::Pck),
            Self::Csk => ("csk", KeyPurpose::Csk),
            Self::Spk => ("spk", KeyPurpose::Spk),
            Self::Musik => ("musik", KeyPurpose::Musik),
        }
    }
}

fn drawn() -> String {
    let mut octets = [0; 16];
    mc_runtime::rng().fill_bytes(&mut octets);
    hex::encode(octets)
}

pub(super) fn run(make: &Make) -> anyhow::Result<ExitCode> {
    let (kind, purpose) = make.kind.name_and_purpose();
    let key_id = || hex::encode(KeyId::random(purpose, &mut mc_runtime::rng()).octets());
    let now = || kms_protocol::format_date(OffsetDateTime::now_utc());
    let identities = match make.identities {
        Identities::Uri => "uri",
        Identities::Uid => "uid",
        Identities::Both => "both",
    };
    let mut request = super::key_files(&make.keys)?;
    let mut put = |name: &str, value: Value| request.insert(name.to_owned(), value);
    put("op", "mikey.make".into());
    put("kind", kind.into());
    put("initiator", make.from.as_str().into());
    put("responder", make.to.as_str().into());
    put("key", make.key.clone().unwrap_or_else(drawn).into());
    put("key_id", make.key_id.clone().unwrap_or_else(key_id).into());
    put("rand", make.rand.clone().unwrap_or_else(drawn).into());
    put("time", make.time.clone().unwrap_or_else(now).into());
    put("to_self", make.to_self.into());
    put("identities", identities.into());
    if !make.group.is_empty() {
        let parameters =
            json!({"status": 1, "activation": 0, "expiry": 0, "text": "", "groups": make.group});
        put("key_parameters", parameters);
    }
    let told = ["kind", "key", "key_id", "rand", "time"];
    let mut answer: serde_json::Map<_, _> = told
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), request.get(*name)?.clone())))
        .collect();
    answer.extend(crate::raw::request(request).map_err(|e| anyhow!("{e}"))?);
    let mut out = std::io::stdout();
    if make.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&answer)?)?;
    } else {
        let message = answer.get("message").and_then(Value::as_str);
        writeln!(out, "{}", message.unwrap_or_default())?;
    }
    Ok(ExitCode::SUCCESS)
}
