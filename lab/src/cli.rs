//! The command line of `mcbox`.

mod shown;
mod start;

use crate::client::{self, ClientArgs};
use crate::radio::{self, RadioArgs};
use crate::site::Approach;
use crate::supervisor::{self, Lab, Setup};
use crate::topology::{Addresses, Domain};
use crate::{demo, doctor, domain, health, state::StateDir};
use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub(crate) use shown::json as print_json;
use start::Whose;

/// A miniature 3GPP Mission Critical system in a box.
#[derive(Debug, Parser)]
#[command(name = "mcbox", version, about, max_term_width = 100)]
pub struct Cli {
    /// Directory of everything the lab writes: certificates, databases, logs, captures.
    #[arg(long, global = true, default_value = ".mcbox", env = "MCBOX_STATE")]
    state: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Starts the lab with its console and keeps it running until Ctrl-C.
    #[command(
        after_help = "Examples:\n  mcbox up\n  mcbox up --detach --ports free\n  mcbox up --approach 7.1,7.3"
    )]
    Up {
        /// Returns once every service is ready; `mcbox down` stops the lab. Without MC clients and
        /// without the console's buttons, which need this process; `mcbox demo --attach` makes calls.
        #[arg(long)]
        detach: bool,
        #[command(flatten)]
        sites: SiteArgs,
        #[command(flatten)]
        setup: SetupArgs,
        #[command(flatten)]
        speech: SpeechArgs,
    },
    /// Starts what the calls need, runs the calls, prints what each step came to, and stops the lab.
    #[command(
        after_help = "Exit code 0 only if every call passed.\n\nExamples:\n  mcbox demo\n  mcbox demo --approach 7.1 --call group-lmr-to-mc\n  mcbox demo --json | jq '.calls[].steps'"
    )]
    Demo {
        #[command(flatten)]
        sites: SiteArgs,
        #[command(flatten)]
        calls: CallArgs,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
        /// Runs them in the lab that runs from --state already: started by `mcbox up --detach`, or in
        /// containers.
        #[arg(long, conflicts_with_all = ["ports", "lab_keys", "domains"])]
        attach: bool,
        #[command(flatten)]
        setup: SetupArgs,
        #[command(flatten)]
        speech: SpeechArgs,
    },
    /// Works a radio of the running lab: push-to-talk, private calls, playing and recording WAVs.
    #[command(after_help = radio::HELP)]
    Radio(RadioArgs),
    /// An MC client in the terminal, in the running lab.
    #[command(after_help = client::HELP)]
    Client(ClientArgs),
    /// Writes certificates and configurations and starts nothing: for containers.
    #[command(after_help = "Example:\n  mcbox --state /lab prepare --addresses addresses.json")]
    Prepare {
        /// JSON: pairs of port name and socket address.
        #[arg(long)]
        addresses: PathBuf,
        /// Exports every key to logs/keys.jsonl, so that captures can be read. For closed labs only.
        #[arg(long, env = "MCBOX_LAB_KEYS")]
        lab_keys: bool,
    },
    /// Shows each service, its address, its health and what it waits for.
    #[command(after_help = "Examples:\n  mcbox status\n  mcbox status --json | jq .")]
    Status {
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Stops the lab.
    #[command(
        after_help = "Examples:\n  mcbox down\n  mcbox down --purge   # leaves nothing behind"
    )]
    Down {
        /// Removes the state directory too.
        #[arg(long)]
        purge: bool,
    },
    /// Checks ports, clock, space and tools before a start; each problem comes with its cure.
    #[command(after_help = "Examples:\n  mcbox doctor\n  mcbox doctor --json")]
    Doctor {
        /// Prints JSON.
        #[arg(long)]
        json: bool,
        /// The documented ports, or free ones.
        #[arg(long, value_enum, default_value_t)]
        ports: Ports,
    },
    /// What the domains of a running lab think of each other.
    #[command(after_help = domain::EXAMPLES)]
    Domain {
        #[command(subcommand)]
        command: domain::DomainCommand,
    },
    /// Checks one step of the standards at a time: JSON lines in, JSON lines out.
    #[command(after_help = crate::raw::EXAMPLES)]
    Raw(crate::raw::Raw),
    /// Shows or makes a MIKEY-SAKKE I_MESSAGE.
    #[command(subcommand, after_help = crate::mikey_command::EXAMPLES)]
    Mikey(crate::mikey_command::Mikey),
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Ports {
    /// The documented ports on loopback.
    #[default]
    Default,
    /// Ports that are free now, so that several labs can run side by side.
    Free,
}

/// How a lab is set up.
#[derive(Debug, Clone, Args)]
struct SetupArgs {
    /// The documented ports, or free ones.
    #[arg(long, value_enum, default_value_t)]
    ports: Ports,
    /// Exports every key to logs/keys.jsonl, so that captures can be read. For closed labs only.
    #[arg(long, env = "MCBOX_LAB_KEYS")]
    lab_keys: bool,
    /// Domains whose services run, besides those that the approaches need.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "mc.example")]
    domains: Vec<Domain>,
    /// Runs the servers of segy.example in the process of its first gateway (approaches 7.4 and 7.5).
    #[arg(long)]
    integrated: bool,
}

/// Which sites.
#[derive(Debug, Clone, Args)]
struct SiteArgs {
    /// Approaches, by their number in TR 33.880 clause 7.8 (default all).
    #[arg(long = "approach", value_enum, value_delimiter = ',')]
    approaches: Vec<Approach>,
}

impl SiteArgs {
    /// The chosen approaches in their order.
    fn chosen(&self) -> Vec<Approach> {
        let wanted = |a: &Approach| self.approaches.is_empty() || self.approaches.contains(a);
        Approach::ALL.into_iter().filter(wanted).collect()
    }
}

/// Where the sentences are.
#[derive(Debug, Clone, Args)]
struct SpeechArgs {
    /// Directory of lmr.wav and mc.wav, which radios and MC clients say.
    #[arg(long = "speech", default_value = "target/speech", env = "MCBOX_SPEECH")]
    directory: PathBuf,
}

/// Which calls.
#[derive(Debug, Clone, Args)]
struct CallArgs {
    /// Calls, by name (default all).
    #[arg(long = "call", value_delimiter = ',', value_parser = demo::CALLS)]
    calls: Vec<String>,
}

impl CallArgs {
    /// The chosen calls in their order.
    fn chosen(&self) -> Vec<&'static str> {
        let wanted = |call: &&str| self.calls.is_empty() || self.calls.iter().any(|c| c == call);
        demo::CALLS.into_iter().filter(wanted).collect()
    }
}

impl Command {
    /// Whether keys are made, used or judged in this process; then known answers are recomputed first.
    const fn uses_cryptography(&self) -> bool {
        matches!(
            self,
            Self::Up { .. } | Self::Demo { .. } | Self::Client(_) | Self::Raw(_) | Self::Mikey(_)
        )
    }
}

impl SetupArgs {
    fn setup(self, sites: &SiteArgs) -> anyhow::Result<Setup> {
        let approaches = sites.chosen();
        let mut domains = self.domains;
        domains.extend(
            approaches
                .iter()
                .flat_map(|approach| approach.site().domains()),
        );
        domains.sort();
        domains.dedup();
        let setup = Setup {
            addresses: self.ports.addresses()?,
            lab_keys: self.lab_keys,
            domains,
            approaches,
            integrated: self.integrated,
        };
        let has_effect = !setup.integrated || setup.host().is_some();
        anyhow::ensure!(
            has_effect,
            "--integrated is for gateways with a domain of their own: add --approach 7.4 or 7.5"
        );
        Ok(setup)
    }
}

impl Ports {
    fn addresses(self) -> std::io::Result<Addresses> {
        match self {
            Self::Default => Ok(Addresses::default()),
            Self::Free => Addresses::free(),
        }
    }
}

/// Runs the command the user typed.
///
/// # Errors
/// What kept the command from doing its work, in words for the user.
pub async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    if cli.command.uses_cryptography() {
        mikey_sakke::self_test()?;
    }
    match cli.command {
        Command::Up {
            detach,
            sites,
            setup,
            speech,
        } => start::up(&cli.state, detach, setup.setup(&sites)?, &speech.directory).await,
        Command::Raw(raw) => crate::raw::run(&raw),
        Command::Mikey(mikey) => crate::mikey_command::run(&mikey),
        Command::Demo {
            sites,
            calls,
            json,
            attach,
            setup,
            speech,
        } => {
            let lab = match attach {
                true => Whose::Others(sites.approaches.clone()),
                false => Whose::Own(setup.setup(&sites)?),
            };
            let calls = calls.chosen();
            start::demo(&cli.state, lab, &speech.directory, &calls, json).await
        }
        Command::Client(args) => {
            let lab = Lab::attach(&cli.state)?;
            client::run(&lab, &args).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Radio(args) => {
            radio::run(&cli.state, &args).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Prepare {
            addresses,
            lab_keys,
        } => prepare(&cli.state, &addresses, lab_keys),
        Command::Status { json } => status(&cli.state, json).await,
        Command::Down { purge } => down(&cli.state, purge),
        Command::Doctor { json, ports } => examine(&cli.state, json, ports),
        Command::Domain { command } => domain::run(&cli.state, command).await,
    }
}

fn prepare(state: &Path, addresses: &Path, lab_keys: bool) -> anyhow::Result<ExitCode> {
    let context = || addresses.display().to_string();
    let json = std::fs::read(addresses).with_context(context)?;
    let addresses: Addresses = serde_json::from_slice(&json).with_context(context)?;
    let setup = Setup {
        addresses,
        lab_keys,
        ..Setup::complete()
    };
    supervisor::prepare(&StateDir::open(state)?, &setup)?;
    Ok(ExitCode::SUCCESS)
}

async fn status(state: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let (state, record) = StateDir::running(state)?;
    let ca = state.file("certificates", "ca.pem");
    let setup = record.setup();
    let all = supervisor::all_health(&health::client(&ca)?, &setup).await;
    let ready = all.iter().all(health::Health::is_ready);
    shown::health(&all, &setup, json)?;
    Ok(exit(ready))
}

fn down(state: &Path, purge: bool) -> anyhow::Result<ExitCode> {
    let mut err = std::io::stderr();
    let Some(there) = StateDir::find(state)? else {
        writeln!(err, "nothing to stop: {} is no lab", state.display())?;
        return Ok(ExitCode::SUCCESS);
    };
    let root = there.root().display().to_string();
    match there.record()? {
        Some(_) => writeln!(err, "stopping the lab of {root}")?,
        None => writeln!(err, "no lab runs from {root}")?,
    }
    let forced = supervisor::stop(&there)?;
    if !forced.is_empty() {
        writeln!(err, "ended by force: {}", forced.join(", "))?;
    }
    if purge {
        there.purge()?;
        writeln!(err, "removed {root}")?;
    }
    Ok(exit(forced.is_empty()))
}

fn examine(state: &Path, json: bool, ports: Ports) -> anyhow::Result<ExitCode> {
    let setup = Setup {
        addresses: ports.addresses()?,
        ..Setup::complete()
    };
    let findings = doctor::examine(&setup, &start::binaries()?, state);
    shown::findings(&findings, json)?;
    Ok(exit(findings.iter().all(|finding| finding.ok)))
}

const fn exit(fine: bool) -> ExitCode {
    if fine {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
