//! The tracer: events leave the process without ever holding it up.
//!
//! [`Tracer::emit`] puts an event into a bounded queue and returns; when the queue is full the
//! event is dropped and counted. A task of its own masks secrets, sends HEP3 to the collectors and
//! appends lines of JSON to a file. Keys go to the key log only if the lab file says `lab_keys`.

mod outputs;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mc_trace::{Event, KeyLogEntry};
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};

use outputs::Outputs;

/// The `[trace]` section of a service's configuration. Everything is off by default.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TraceConfig {
    /// Name of the service in the events, where several run the same program. Default the program's.
    pub node: Option<String>,
    /// Collectors that get every event as a HEP3 datagram (`["127.0.0.1:9060"]`). Default none.
    pub hep: Vec<SocketAddr>,
    /// Capture agent identifier in the datagrams. Default 2000.
    pub hep_agent: u32,
    /// File that gets every event as a line of JSON, appended. Default none.
    pub lines: Option<PathBuf>,
    /// Whether speech packets are traced (fifty a second and stream). Default true.
    pub media: bool,
    /// Whether keys are exported to `key_log` and octets stay unmasked. For closed labs only.
    /// Default false.
    pub lab_keys: bool,
    /// File that gets exported keys as lines of JSON; used only with `lab_keys`. Default none.
    pub key_log: Option<PathBuf>,
    /// Events that may wait for the output task; more are dropped and counted. Default 8192.
    pub queue: usize,
}

impl Default for TraceConfig {
    fn default() -> Self {
        Self {
            node: None,
            hep: Vec::new(),
            hep_agent: 2000,
            lines: None,
            media: true,
            lab_keys: false,
            key_log: None,
            queue: 8192,
        }
    }
}

/// A cheap handle through which every part of a service emits events.
#[derive(Debug, Clone)]
pub struct Tracer(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    node: String,
    media: bool,
    lab_keys: bool,
    queue: mpsc::Sender<Item>,
    dropped: AtomicU64,
    last_us: AtomicU64,
}

#[derive(Debug)]
enum Item {
    Event(Box<Event>),
    Key(KeyLogEntry),
    Flush(oneshot::Sender<()>),
}

impl Tracer {
    /// A tracer that emits nothing.
    #[must_use]
    pub const fn off() -> Self {
        Self(None)
    }

    /// Opens the outputs and starts the task that feeds them; needs a Tokio runtime. The task ends
    /// when the last clone is dropped. The events are those of `node`, unless `config` has a name.
    ///
    /// # Errors
    /// If a file or the sending socket cannot be opened.
    pub fn start(node: &str, config: &TraceConfig) -> std::io::Result<Self> {
        let node = config.node.as_deref().unwrap_or(node);
        let outputs = Outputs::open(config)?;
        if outputs.is_empty() {
            return Ok(Self::off());
        }
        if config.lab_keys {
            tracing::warn!(node, "lab_keys is on: keys are written to the key log");
        }
        let (queue, items) = mpsc::channel(config.queue.max(1));
        tokio::spawn(run(outputs, items));
        Ok(Self(Some(Arc::new(Inner {
            node: node.to_owned(),
            media: config.media,
            lab_keys: config.lab_keys,
            queue,
            dropped: AtomicU64::new(0),
            last_us: AtomicU64::new(0),
        }))))
    }

    /// A tracer whose events a test reads from the returned receiver.
    #[must_use]
    pub fn to_channel(node: &str, capacity: usize) -> (Self, mpsc::Receiver<Event>) {
        let (events, receiver) = mpsc::channel(capacity);
        let (queue, mut items) = mpsc::channel(capacity.max(1));
        tokio::spawn(async move {
            while let Some(item) = items.recv().await {
                match item {
                    Item::Event(mut event) => {
                        event.redact(false);
                        if events.send(*event).await.is_err() {
                            break;
                        }
                    }
                    Item::Key(_) => {}
                    Item::Flush(done) => drop(done.send(())),
                }
            }
        });
        let inner = Inner {
            node: node.to_owned(),
            media: true,
            lab_keys: false,
            queue,
            dropped: AtomicU64::new(0),
            last_us: AtomicU64::new(0),
        };
        (Self(Some(Arc::new(inner))), receiver)
    }

    /// Emits an event. Never waits; stamps time and node if the event has none.
    pub fn emit(&self, mut event: Event) {
        let Some(inner) = &self.0 else { return };
        if event.media && !inner.media {
            return;
        }
        if event.time_us == 0 {
            event.time_us = inner.now_us();
        }
        if event.node.is_empty() {
            event.node.clone_from(&inner.node);
        }
        inner.put(Item::Event(Box::new(event)));
    }

    /// Exports a key, if the lab says so; otherwise forgets it.
    pub fn key(&self, mut entry: KeyLogEntry) {
        let Some(inner) = &self.0 else { return };
        if !inner.lab_keys {
            return;
        }
        if entry.time_us == 0 {
            entry.time_us = inner.now_us();
        }
        if entry.node.is_empty() {
            entry.node.clone_from(&inner.node);
        }
        inner.put(Item::Key(entry));
    }

    /// Name of the service in the events; empty for a tracer that emits nothing.
    #[must_use]
    pub fn node(&self) -> &str {
        self.0.as_ref().map_or("", |inner| &inner.node)
    }

    /// True if emitted events go anywhere; lets a caller skip expensive decoding.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// True if media events go anywhere.
    #[must_use]
    pub fn wants_media(&self) -> bool {
        self.0.as_ref().is_some_and(|inner| inner.media)
    }

    /// True if keys are exported.
    #[must_use]
    pub fn exports_keys(&self) -> bool {
        self.0.as_ref().is_some_and(|inner| inner.lab_keys)
    }

    /// Events and keys dropped because the queue was full.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        let count = |inner: &Arc<Inner>| inner.dropped.load(Ordering::Relaxed);
        self.0.as_ref().map_or(0, count)
    }

    /// Returns once everything emitted before is written, or after two seconds.
    pub async fn flush(&self) {
        let Some(inner) = &self.0 else { return };
        let (done, written) = oneshot::channel();
        if inner.queue.send(Item::Flush(done)).await.is_ok() {
            // Late or gone: a flush at the end of a process must not keep it alive.
            let _late = tokio::time::timeout(Duration::from_secs(2), written).await;
        }
    }
}

impl Inner {
    fn put(&self, item: Item) {
        if self.queue.try_send(item).is_err() && self.dropped.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!(node = self.node, "trace queue full: events are dropped");
        }
    }

    /// Microseconds since 1970, never the same twice, so that order survives sorting.
    fn now_us(&self) -> u64 {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| u64::try_from(d.as_micros()).unwrap_or(u64::MAX));
        let advance = |last: u64| Some(now.max(last.saturating_add(1)));
        self.last_us
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, advance)
            .map_or(now, |last| now.max(last.saturating_add(1)))
    }
}

async fn run(mut outputs: Outputs, mut items: mpsc::Receiver<Item>) {
    let mut batch = Vec::with_capacity(64);
    while items.recv_many(&mut batch, 64).await > 0 {
        let mut waiting = Vec::new();
        for item in batch.drain(..) {
            match item {
                Item::Event(event) => outputs.event(*event).await,
                Item::Key(entry) => outputs.key(&entry),
                Item::Flush(done) => waiting.push(done),
            }
        }
        outputs.write().await;
        for done in waiting {
            // The caller stopped waiting; nothing to tell it.
            let _gone = done.send(());
        }
    }
}

#[cfg(test)]
mod tests;
