//! Where events go: HEP3 collectors, the trace file, the key log.

use std::net::SocketAddr;
use std::path::Path;

use mc_trace::{Event, KeyLogEntry, hep, lines};
use tokio::io::AsyncWriteExt;

use super::TraceConfig;

/// The open outputs and what is still to be written to the files.
pub(super) struct Outputs {
    keep_octets: bool,
    agent: u32,
    collectors: Vec<SocketAddr>,
    socket: Option<tokio::net::UdpSocket>,
    lines: Option<tokio::fs::File>,
    pending_lines: Vec<u8>,
    key_log: Option<tokio::fs::File>,
    pending_keys: Vec<u8>,
}

impl Outputs {
    pub(super) fn open(config: &TraceConfig) -> std::io::Result<Self> {
        let key_log = config.key_log.as_deref().filter(|_| config.lab_keys);
        Ok(Self {
            keep_octets: config.lab_keys,
            agent: config.hep_agent,
            collectors: config.hep.clone(),
            socket: socket(&config.hep)?,
            lines: config.lines.as_deref().map(append).transpose()?,
            pending_lines: Vec::new(),
            key_log: key_log.map(append).transpose()?,
            pending_keys: Vec::new(),
        })
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.socket.is_none() && self.lines.is_none() && self.key_log.is_none()
    }

    pub(super) async fn event(&mut self, mut event: Event) {
        event.redact(self.keep_octets);
        if self.lines.is_some()
            && let Err(error) = lines::write(&event, &mut self.pending_lines)
        {
            tracing::warn!(%error, "an event has no JSON form");
        }
        let Some(socket) = &self.socket else { return };
        let datagram = hep::encode(&event, self.agent);
        for collector in &self.collectors {
            // A collector that is not there must not disturb the service.
            if let Err(error) = socket.send_to(&datagram, collector).await {
                tracing::debug!(%error, %collector, "HEP datagram not sent");
            }
        }
    }

    pub(super) fn key(&mut self, entry: &KeyLogEntry) {
        if self.key_log.is_some() && serde_json::to_writer(&mut self.pending_keys, entry).is_ok() {
            self.pending_keys.push(b'\n');
        }
    }

    /// Writes what is pending; a file that cannot be written any more is closed with a warning.
    pub(super) async fn write(&mut self) {
        write_to(&mut self.lines, &mut self.pending_lines, "trace file").await;
        write_to(&mut self.key_log, &mut self.pending_keys, "key log").await;
    }
}

async fn write_to(file: &mut Option<tokio::fs::File>, pending: &mut Vec<u8>, what: &str) {
    if pending.is_empty() {
        return;
    }
    if let Some(open) = file {
        let written = async {
            open.write_all(pending).await?;
            open.flush().await
        };
        if let Err(error) = written.await {
            tracing::error!(%error, "{what} closed");
            *file = None;
        }
    }
    pending.clear();
}

/// One unconnected socket that reaches all collectors; IPv6 if any of them needs it.
fn socket(collectors: &[SocketAddr]) -> std::io::Result<Option<tokio::net::UdpSocket>> {
    let Some(first) = collectors.first() else {
        return Ok(None);
    };
    let any: SocketAddr = if first.is_ipv4() {
        ([0, 0, 0, 0], 0).into()
    } else {
        ([0_u16; 8], 0).into()
    };
    let socket = std::net::UdpSocket::bind(any)?;
    socket.set_nonblocking(true)?;
    tokio::net::UdpSocket::from_std(socket).map(Some)
}

/// Opens for appending, readable by the owner only: traces name people, key logs hold keys.
fn append(path: &Path) -> std::io::Result<tokio::fs::File> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(tokio::fs::File::from_std)
}
