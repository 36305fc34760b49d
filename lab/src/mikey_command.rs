//! `mcbox mikey inspect` and `mcbox mikey make`: I_MESSAGEs for people.

mod capture;
pub mod inspect;
pub mod make;
mod source;

use clap::Subcommand;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What the help of `mcbox mikey` ends with; each command has more.
pub(crate) const EXAMPLES: &str = "Examples:
  mcbox mikey inspect message.b64
  mcbox mikey inspect --keys keys.json --json invite.sip | jq '.[].why.cause'
  mcbox mikey make --keys keys.json --kind csk --from sip:alice@mc.example --to mdsi.mc.example";

/// `mcbox mikey`.
#[derive(Debug, Subcommand)]
pub enum Mikey {
    /// Takes I_MESSAGEs apart, checks them, and tells why one does not verify or open.
    #[command(
        after_help = "FILE holds an I_MESSAGE in hexadecimal, base64 or octets, a SIP message, a GKTP \
            document, or a capture (pcap, pcapng). A key file is JSON with `certificates` and \
            `keysets`, as `mcbox raw` answers to kms.parse. Exit code 0 only if nothing is wrong.\n\n\
            Examples:\n  \
            mcbox mikey inspect message.b64\n  \
            mcbox mikey inspect --keys keys.json invite.sip\n  \
            mcbox mikey inspect --keys kms.json --keys alice.json call.pcapng\n  \
            grep -o 'mikey .*' offer.sdp | mcbox mikey inspect --json - | jq '.[].why.cause'"
    )]
    Inspect(inspect::Inspect),
    /// Makes an I_MESSAGE with the keys of a key file.
    #[command(
        after_help = "What is not given is drawn: key, identifier, RAND; the time is now. Prints \
            base64.\n\n\
            Examples:\n  \
            mcbox mikey make --keys keys.json --kind csk --from sip:alice@mc.example --to mdsi.mc.example\n  \
            mcbox mikey make --keys keys.json --kind gmk --from sip:gms@mc.example \
            --to sip:bob@mc.example --group sip:fireground-1@mc.example --json"
    )]
    Make(make::Make),
}

/// Runs `mcbox mikey`.
///
/// # Errors
/// What kept the command from doing its work, in words for the user.
pub fn run(mikey: &Mikey) -> anyhow::Result<ExitCode> {
    match mikey {
        Mikey::Inspect(inspect) => inspect::run(inspect),
        Mikey::Make(make) => make::run(make),
    }
}

/// Largest input read, in octets.
const MAX_INPUT: u64 = 256 * 1024 * 1024;

/// The octets of a file, or of standard input for `-`.
fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    use anyhow::Context as _;
    use std::io::Read as _;
    let mut octets = Vec::new();
    let context = || path.display().to_string();
    if path == Path::new("-") {
        let mut limited = std::io::stdin().lock().take(MAX_INPUT);
        limited.read_to_end(&mut octets)?;
    } else {
        let file = std::fs::File::open(path).with_context(context)?;
        file.take(MAX_INPUT)
            .read_to_end(&mut octets)
            .with_context(context)?;
    }
    Ok(octets)
}

/// The certificates and key sets of several key files together, as JSON lists.
fn key_files(paths: &[PathBuf]) -> anyhow::Result<serde_json::Map<String, serde_json::Value>> {
    use anyhow::Context as _;
    let (mut certificates, mut keysets) = (Vec::new(), Vec::new());
    for path in paths {
        let file: serde_json::Value = serde_json::from_slice(&read(path)?)
            .with_context(|| format!("{}: not JSON", path.display()))?;
        for (name, all) in [
            ("certificates", &mut certificates),
            ("keysets", &mut keysets),
        ] {
            let list = file.get(name).and_then(serde_json::Value::as_array);
            all.extend(list.into_iter().flatten().cloned());
        }
    }
    let mut keys = serde_json::Map::new();
    keys.insert("certificates".to_owned(), certificates.into());
    keys.insert("keysets".to_owned(), keysets.into());
    Ok(keys)
}
