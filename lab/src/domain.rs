//! `mcbox domain trust`: the manual exchange that lets two domains work together (TS 33.180 L.3.2,
//! 5.1.4.2). There is no protocol for it, on purpose: two people compare fingerprints.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;

use crate::cli::print_json;
use crate::operator::{Exported, Operator, Partner};
use crate::topology::Domain;

/// What the help of `mcbox domain` and `mcbox domain trust` ends with.
pub(crate) const EXAMPLES: &str =
    "The lab exchanges its two domains' trust by itself where an approach needs it (7.3 to 7.5).

Examples:
  mcbox domain trust list --domain mc.example
  mcbox domain trust export --domain segy.example --out from-segy
  mcbox domain trust import from-segy --domain mc.example
  mcbox domain trust revoke kms.segy.example --domain mc.example";

/// Names of the two files a domain gives to its partners.
const CERTIFICATE: &str = "kms-certificate.xml";
const TOKEN_KEYS: &str = "idms-keys.json";

/// `mcbox domain ...`.
#[derive(Debug, Subcommand)]
pub enum DomainCommand {
    /// Exchanges, lists and ends the trust between domains.
    #[command(after_help = EXAMPLES)]
    Trust {
        #[command(subcommand)]
        /// What about it.
        command: TrustCommand,
    },
}

/// `mcbox domain trust ...`.
#[derive(Debug, Subcommand)]
pub enum TrustCommand {
    /// Writes a domain's KMS certificate and token keys for a partner, and shows their fingerprints.
    #[command(
        after_help = "Example:\n  mcbox domain trust export --domain segy.example --out from-segy"
    )]
    Export {
        /// Whose.
        #[arg(long, value_enum)]
        domain: Domain,
        /// Directory to write to; it is made.
        #[arg(long)]
        out: PathBuf,
    },
    /// Shows what a partner exported and, with --yes, trusts it.
    #[command(
        after_help = "Without --yes nothing changes: compare the fingerprints with the partner first.\n\nExamples:\n  mcbox domain trust import from-segy --domain mc.example\n  mcbox domain trust import from-segy --domain mc.example --yes"
    )]
    Import {
        /// Directory with the partner's two files.
        from: PathBuf,
        /// Who is to trust it.
        #[arg(long, value_enum)]
        domain: Domain,
        /// The domains the partner may speak for (default: those its certificate lists).
        #[arg(long, value_delimiter = ',')]
        domains: Vec<String>,
        /// The fingerprints were compared.
        #[arg(long)]
        yes: bool,
    },
    /// Lets the domains of one lab trust each other: both exchanges at once, for containers. What was
    /// revoked stays revoked.
    #[command(after_help = "Example:\n  mcbox domain trust introduce")]
    Introduce,
    /// Shows whom a domain trusts.
    #[command(after_help = "Example:\n  mcbox domain trust list --domain mc.example --json | jq .")]
    List {
        /// Who trusts.
        #[arg(long, value_enum)]
        domain: Domain,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Ends the trust in a partner: its certificate is revoked and its tokens are refused.
    #[command(
        after_help = "Example:\n  mcbox domain trust revoke kms.segy.example --domain mc.example"
    )]
    Revoke {
        /// Identifier of the partner's KMS.
        kms_uri: String,
        /// Who ends it.
        #[arg(long, value_enum)]
        domain: Domain,
    },
}

/// Runs the command on the lab of a state directory.
///
/// # Errors
/// What kept it from doing its work, in words for the user.
pub async fn run(state: &Path, command: DomainCommand) -> anyhow::Result<ExitCode> {
    let DomainCommand::Trust { command } = command;
    let operator = Operator::at(state)?;
    let mut out = std::io::stdout();
    match command {
        TrustCommand::Export { domain, out: dir } => {
            let exported = operator.export(domain).await?;
            write(&dir, &exported)?;
            writeln!(out, "{}", describe(&exported)?)?;
        }
        TrustCommand::Import {
            from,
            domain,
            domains,
            yes,
        } => {
            let exported = read(&from)?;
            writeln!(out, "{}", describe(&exported)?)?;
            if !yes {
                writeln!(
                    out,
                    "\nNothing changed. Compare both fingerprints with the partner's operator, then repeat with --yes."
                )?;
                return Ok(ExitCode::FAILURE);
            }
            let bound = operator.import(domain, &exported, &domains).await?;
            let (by, bound) = (domain.name(), bound.join(", "));
            writeln!(out, "\n{by} trusts this KMS and these tokens for {bound}.")?;
        }
        TrustCommand::Introduce => {
            let (one, other) = (Domain::Primary, Domain::Gateway);
            operator.introduce_once(one, other).await?;
            writeln!(out, "{} and {} know each other.", one.name(), other.name())?;
        }
        TrustCommand::List { domain, json } => {
            let partners = operator.partners(domain).await?;
            match json {
                true => print_json(&partners)?,
                false => list(&mut out, &partners)?,
            }
        }
        TrustCommand::Revoke { kms_uri, domain } => {
            operator.revoke(domain, &kms_uri).await?;
            writeln!(out, "{} no longer trusts {kms_uri}.", domain.name())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn write(dir: &Path, exported: &Exported) -> anyhow::Result<()> {
    let context = || dir.display().to_string();
    std::fs::create_dir_all(dir).with_context(context)?;
    std::fs::write(dir.join(CERTIFICATE), &exported.certificate).with_context(context)?;
    std::fs::write(dir.join(TOKEN_KEYS), &exported.token_keys).with_context(context)
}

fn read(dir: &Path) -> anyhow::Result<Exported> {
    let file = |name: &str| {
        let path = dir.join(name);
        std::fs::read(&path).with_context(|| path.display().to_string())
    };
    Ok(Exported {
        certificate: file(CERTIFICATE)?,
        token_keys: file(TOKEN_KEYS)?,
    })
}

/// What an operator has to know before trusting it.
fn describe(exported: &Exported) -> anyhow::Result<String> {
    let certificate = exported.read_certificate()?;
    let [kms, tokens] = exported.fingerprints();
    let gateway = match certificate.is_security_gateway {
        true => "yes: end-to-end protection ends there",
        false => "no",
    };
    let date = |date: Option<_>| date.map_or_else(|| "-".to_owned(), kms_protocol::format_date);
    Ok(format!(
        "KMS               {}\nspeaks for        {}\nsecurity gateway  {gateway}\nvalid             {} to {}\n\n{CERTIFICATE}  SHA-256 {kms}\n{TOKEN_KEYS}       SHA-256 {tokens}",
        certificate.kms_uri,
        certificate.domains.join(", "),
        date(certificate.valid_from),
        date(certificate.valid_to),
    ))
}

fn list(out: &mut impl Write, partners: &[Partner]) -> std::io::Result<()> {
    writeln!(
        out,
        "{:<24} {:<8} {:<8} {:<24} SHA-256",
        "KMS", "trust", "gateway", "speaks for"
    )?;
    for partner in partners {
        let trust = if partner.revoked { "revoked" } else { "yes" };
        let gateway = if partner.is_security_gateway {
            "yes"
        } else {
            "no"
        };
        writeln!(
            out,
            "{:<24} {trust:<8} {gateway:<8} {:<24} {}",
            partner.kms_uri,
            partner.domains.join(","),
            partner.fingerprint,
        )?;
    }
    Ok(())
}
