//! Starting the services as local processes, and taking them down.

use crate::certificates::{CertificateError, Certificates};
use crate::configure::configure;
use crate::health::{self, Health};
use crate::operator::Operator;
use crate::process;
use crate::render::RenderError;
use crate::site::{Approach, Site};
use crate::state::{LabRecord, ProcessRecord, StateDir, StateError};
use crate::topology::{Addresses, Domain, PortName, Service};
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a service may take to become ready.
const START_PATIENCE: Duration = Duration::from_secs(30);
/// How long a service may take to end by itself.
const STOP_PATIENCE: Duration = Duration::from_secs(5);
/// How often a starting service is asked.
const POLL: Duration = Duration::from_millis(50);

/// Why the lab did not start. Each names the service and where to look.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A lab already runs from this state directory.
    #[error("a lab already runs here (pid {pid} is {service}); `mcbox down` stops it")]
    Running {
        /// A service of it.
        service: String,
        /// Its process.
        pid: u32,
    },
    /// No service of this name was started here.
    #[error("no service `{0}` was started here")]
    NoService(String),
    /// An address is missing.
    #[error("the addresses name no `{0}`")]
    NoAddress(&'static str),
    /// A binary is missing.
    #[error("{service}: no executable at {path}; `make lab` builds all services")]
    NoBinary {
        /// The service.
        service: &'static str,
        /// Where the executable should be.
        path: PathBuf,
    },
    /// A configuration template does not fit the lab.
    #[error("{service}: its template in deploy/lab, {source}")]
    Template {
        /// The service.
        service: &'static str,
        /// What is wrong with it.
        source: RenderError,
    },
    /// A process could not be started.
    #[error("{service}: {source}")]
    Spawn {
        /// The service.
        service: &'static str,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// A service ended or did not become ready.
    #[error("{service} did not become ready: {detail}; its last words: {last}; its log is {log}")]
    NotReady {
        /// The service.
        service: &'static str,
        /// What was seen of it.
        detail: String,
        /// The last line of its log.
        last: String,
        /// Its log file.
        log: PathBuf,
    },
    /// The certificates could not be made.
    #[error(transparent)]
    Certificates(#[from] CertificateError),
    /// The state directory could not be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The domains did not come to trust each other.
    #[error("exchange of KMS certificates and token keys: {0}")]
    Trust(String),
    /// The health client could not be made.
    #[error("asking the services for their health: {0}")]
    Client(String),
}

/// What the person who starts a lab decides.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Where the services listen.
    pub addresses: Addresses,
    /// Whether keys are exported, so that captures can be decrypted. For closed labs only.
    pub lab_keys: bool,
    /// The domains whose services run.
    pub domains: Vec<Domain>,
    /// The approaches whose sites run.
    pub approaches: Vec<Approach>,
    /// Whether the servers of the gateway's domain run in a gateway's process.
    pub integrated: bool,
}

impl Setup {
    /// Every domain and every site, on the documented ports.
    #[must_use]
    pub fn complete() -> Self {
        Self {
            addresses: Addresses::default(),
            lab_keys: false,
            domains: Domain::ALL.to_vec(),
            approaches: Approach::ALL.to_vec(),
            integrated: false,
        }
    }

    /// The sites, in the order of the approaches.
    pub fn sites(&self) -> impl Iterator<Item = &'static Site> {
        self.approaches.iter().map(|approach| approach.site())
    }

    /// The services of all domains and sites, in the order they start.
    pub fn services(&self) -> impl Iterator<Item = &'static Service> {
        let of_domains = self.domains.iter().flat_map(|domain| domain.services());
        of_domains.chain(self.sites().flat_map(|site| &site.services))
    }

    /// The gateway that runs the servers of its domain in its process: the first of that domain.
    #[must_use]
    pub fn host(&self) -> Option<&'static Service> {
        let own = |site: &&Site| self.integrated && site.domain == Domain::Gateway;
        self.sites().find(own).map(Site::gateway)
    }

    /// The services that are no process of their own.
    #[must_use]
    pub fn hosted(&self) -> &'static [Service] {
        match self.host() {
            Some(_) => Domain::Gateway.services(),
            None => &[],
        }
    }

    /// Whether a site works only once the domains trust each other.
    #[must_use]
    pub fn needs_trust(&self) -> bool {
        self.sites().any(|site| site.domains().len() > 1)
    }
}

/// A lab whose processes this process started. Dropping it stops them.
#[derive(Debug)]
pub struct Lab {
    state: StateDir,
    setup: Setup,
    client: reqwest::Client,
    children: Vec<(Service, Child, PathBuf)>,
}

impl Lab {
    /// Writes configurations and certificates, starts every service and waits until each is ready.
    /// `progress` hears what is being done.
    ///
    /// # Errors
    /// See [`StartError`]; what had been started is stopped again.
    pub async fn start(
        state: StateDir,
        setup: Setup,
        binaries: &Path,
        mut progress: impl FnMut(&str),
    ) -> Result<Self, StartError> {
        refuse_second(&state)?;
        progress("certificates");
        let certificates = Certificates::ensure(&state, &[])?;
        let client =
            health::client(&certificates.ca).map_err(|e| StartError::Client(e.to_string()))?;
        configure(&state, &setup, &certificates)?;
        let mut lab = Self {
            state,
            setup,
            client,
            children: Vec::new(),
        };
        // Who has keys of both domains from its first moment on needs to be told nothing later.
        let host = lab.setup.host();
        let (first, rest): (Vec<_>, Vec<_>) = lab
            .setup
            .services()
            .partition(|s| s.starts_before_trust() || host == Some(*s));
        lab.launch(&first, binaries, &mut progress)?;
        if lab.setup.needs_trust() {
            for service in first.iter().filter(|s| s.starts_before_trust()) {
                lab.until_ready(service).await?;
            }
            progress("mc.example and segy.example exchange KMS certificates and token keys");
            let trust = lab.exchange_trust().await;
            trust.map_err(|error| StartError::Trust(format!("{error:#}")))?;
        }
        lab.launch(&rest, binaries, &mut progress)?;
        for service in first.into_iter().chain(rest) {
            progress(service.name);
            lab.until_ready(service).await?;
        }
        Ok(lab)
    }

    fn launch(
        &mut self,
        services: &[&'static Service],
        binaries: &Path,
        progress: &mut impl FnMut(&str),
    ) -> Result<(), StartError> {
        for service in services {
            progress(service.name);
            if self.setup.hosted().contains(service) {
                continue;
            }
            let path = binaries.join(service.binary);
            let mut fresh = OpenOptions::new();
            fresh.write(true).create(true).truncate(true);
            let child = self.spawn(service, &path, &fresh)?;
            self.children.push(child);
        }
        Ok(self.keep_record()?)
    }

    /// Ends a service at once, as a crash would (SIGKILL), and starts it again; its log goes on.
    /// Returns when it is ready.
    ///
    /// # Errors
    /// [`StartError`]; the lab has no such service, or it did not come back.
    pub async fn crash_and_restart(&mut self, name: &str) -> Result<(), StartError> {
        self.crash(name)?;
        self.restart(name).await
    }

    /// Ends a service at once, as a crash would (SIGKILL).
    ///
    /// # Errors
    /// [`StartError`]; the lab has no such service.
    pub fn crash(&mut self, name: &str) -> Result<(), StartError> {
        let (service, child, _) = self.child(name)?;
        let service = service.name;
        let failed = |source| StartError::Spawn { service, source };
        child.kill().and_then(|()| child.wait()).map_err(failed)?;
        Ok(())
    }

    /// Starts a service again that has crashed; its log goes on. Returns when it is ready.
    ///
    /// # Errors
    /// [`StartError`]; the lab has no such service, or it did not come back.
    pub async fn restart(&mut self, name: &str) -> Result<(), StartError> {
        let (service, _, executable) = self.child(name)?;
        let (service, executable) = (*service, executable.clone());
        let again = self.spawn(&service, &executable, OpenOptions::new().append(true))?;
        *self.child(name)? = again;
        self.keep_record()?;
        self.until_ready(&service).await
    }

    fn child(&mut self, name: &str) -> Result<&mut (Service, Child, PathBuf), StartError> {
        let here = self.children.iter_mut().find(|(s, ..)| s.name == name);
        here.ok_or_else(|| StartError::NoService(name.to_owned()))
    }

    /// What two operators do once, by hand, between systems that are not a lab (TS 33.180 L.3.2).
    ///
    /// # Errors
    /// What a KMS says against it.
    pub async fn exchange_trust(&self) -> anyhow::Result<()> {
        let operator = Operator::of(self)?;
        operator
            .introduce_once(Domain::Primary, Domain::Gateway)
            .await
    }

    /// The lab that another process started from this directory, or that runs in containers, prepared
    /// by [`prepare`]; it is not stopped with the value.
    ///
    /// # Errors
    /// When there is none.
    pub fn attach(root: &Path) -> Result<Self, StartError> {
        let (state, record) = StateDir::running(root)?;
        let ca = state.file("certificates", "ca.pem");
        let client = health::client(&ca).map_err(|e| StartError::Client(e.to_string()))?;
        Ok(Self {
            state,
            setup: record.setup(),
            client,
            children: Vec::new(),
        })
    }

    fn spawn(
        &self,
        service: &Service,
        path: &Path,
        log: &OpenOptions,
    ) -> Result<(Service, Child, PathBuf), StartError> {
        let missing = || StartError::NoBinary {
            service: service.name,
            path: path.to_owned(),
        };
        let executable = path.canonicalize().map_err(|_| missing())?;
        let spawn = |source| StartError::Spawn {
            service: service.name,
            source,
        };
        let log = log.open(self.state.log(service.name)).map_err(spawn)?;
        let child = Command::new(&executable)
            .arg("--config")
            .arg(self.state.configuration(service.name))
            .current_dir(self.state.root())
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(spawn)?)
            .stderr(log)
            .spawn()
            .map_err(spawn)?;
        Ok((*service, child, executable))
    }

    fn keep_record(&self) -> Result<(), StateError> {
        let record = |(service, child, executable): &(Service, Child, PathBuf)| ProcessRecord {
            service: service.name.to_owned(),
            pid: child.id(),
            executable: executable.clone(),
        };
        let processes = self.children.iter().map(record).collect();
        self.state.keep_record(&LabRecord {
            addresses: self.setup.addresses.clone(),
            lab_keys: self.setup.lab_keys,
            domains: self.setup.domains.clone(),
            approaches: self.setup.approaches.clone(),
            integrated: self.setup.integrated,
            processes,
        })
    }

    async fn until_ready(&mut self, service: &Service) -> Result<(), StartError> {
        let deadline = Instant::now() + START_PATIENCE;
        let log = self.state.log(service.name);
        let not_ready = |detail: String| StartError::NotReady {
            service: service.name,
            detail,
            last: process::last_words(&std::fs::read_to_string(&log).unwrap_or_default()),
            log: log.clone(),
        };
        loop {
            let health = health::ask(&self.client, service, self.addresses()).await;
            if health.is_ready() {
                return Ok(());
            }
            if let Some(status) = self.ended(service) {
                return Err(not_ready(format!("it ended with {status}")));
            }
            if health.status == "failed" || Instant::now() > deadline {
                return Err(not_ready(format!("{}: {}", health.status, health.detail)));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn ended(&mut self, service: &Service) -> Option<std::process::ExitStatus> {
        let child = self.children.iter_mut().find(|(s, ..)| s == service);
        child.and_then(|(_, child, _)| child.try_wait().ok().flatten())
    }

    /// How each service is now.
    pub async fn health(&self) -> Vec<Health> {
        all_health(&self.client, &self.setup).await
    }

    /// What the lab was started with.
    #[must_use]
    pub const fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Where the services listen.
    #[must_use]
    pub const fn addresses(&self) -> &Addresses {
        &self.setup.addresses
    }

    /// Whether keys are exported.
    #[must_use]
    pub const fn lab_keys(&self) -> bool {
        self.setup.lab_keys
    }

    /// The state directory.
    #[must_use]
    pub const fn state(&self) -> &StateDir {
        &self.state
    }

    /// Leaves the processes running behind this one, for `mcbox down` to stop.
    pub fn leave_running(mut self) {
        self.children.clear();
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // In reverse, so that nobody loses a service it still needs.
        for (_, child, executable) in self.children.iter_mut().rev() {
            let _by_itself = process::stop(child.id(), executable, STOP_PATIENCE);
            let _status = child.wait();
        }
        if !self.children.is_empty() {
            // An error leaves a record whose processes are gone; the next start sees that.
            let _forgotten = self.state.forget_record();
        }
    }
}

/// Writes certificates and configurations for services that something else starts, such as
/// containers, and records their addresses for [`Lab::attach`].
///
/// # Errors
/// [`StartError`] when an address is missing or a file cannot be written.
pub fn prepare(state: &StateDir, setup: &Setup) -> Result<(), StartError> {
    let addresses = &setup.addresses;
    for (name, _) in PortName::ALL {
        if !addresses.iter().any(|(given, _)| given == *name) {
            return Err(StartError::NoAddress(name.name()));
        }
    }
    let mut hosts: Vec<String> = addresses.iter().map(|(_, a)| a.ip().to_string()).collect();
    hosts.sort();
    hosts.dedup();
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let certificates = Certificates::ensure(state, &hosts)?;
    configure(state, setup, &certificates)?;
    state.keep_record(&LabRecord {
        addresses: addresses.clone(),
        lab_keys: setup.lab_keys,
        domains: setup.domains.clone(),
        approaches: setup.approaches.clone(),
        integrated: setup.integrated,
        processes: Vec::new(),
    })?;
    Ok(())
}

/// How each service of a lab is.
pub async fn all_health(client: &reqwest::Client, setup: &Setup) -> Vec<Health> {
    let mut all = Vec::new();
    for service in setup.services() {
        all.push(health::ask(client, service, &setup.addresses).await);
    }
    all
}

/// Stops a lab that another process started; returns the services it had to end by force.
///
/// # Errors
/// When the record of the lab cannot be read or removed.
pub fn stop(state: &StateDir) -> Result<Vec<String>, StateError> {
    let processes = state.record()?.map(|r| r.processes).unwrap_or_default();
    let running = processes
        .into_iter()
        .rev()
        .filter(|p| process::runs(p.pid, &p.executable));
    let forced = running
        .filter(|p| !process::stop(p.pid, &p.executable, STOP_PATIENCE))
        .map(|p| p.service)
        .collect();
    state.forget_record()?;
    Ok(forced)
}

/// Refuses to start a second lab where one runs.
///
/// # Errors
/// [`StartError::Running`], or that the record cannot be read.
pub(crate) fn refuse_second(state: &StateDir) -> Result<(), StartError> {
    let processes = state.record()?.map(|r| r.processes).unwrap_or_default();
    match processes
        .into_iter()
        .find(|p| process::runs(p.pid, &p.executable))
    {
        Some(ProcessRecord { service, pid, .. }) => Err(StartError::Running { service, pid }),
        None => Ok(()),
    }
}
