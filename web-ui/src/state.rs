//! What all parts of the console share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use mc_trace::Event;
use tokio::sync::{broadcast, watch};

use crate::config::{Config, ServiceEntry};
use crate::demo_control::{DemoControl, LabState};
use crate::history::{History, Row};
use crate::map::Map;

/// Rows a slow browser may fall behind before it has to start over.
const BEHIND: usize = 2048;

/// The console's state; clones share it.
#[derive(Debug, Clone)]
pub struct Console(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    history: Mutex<History>,
    map: Mutex<Map>,
    lab: Mutex<Result<LabState, String>>,
    rows: broadcast::Sender<Arc<Row>>,
    /// Counts changes of map or lab state.
    changes: watch::Sender<u64>,
    control: DemoControl,
    client: reqwest::Client,
    config: Config,
}

impl Console {
    pub(crate) fn new(config: &Config, client: reqwest::Client) -> Self {
        let names = config.services.iter().map(|s| s.name.clone()).collect();
        let control = config.lab_control.as_deref();
        Self(Arc::new(Shared {
            history: Mutex::new(History::new(config.history, &config.domain)),
            map: Mutex::new(Map::new(names)),
            lab: Mutex::new(Ok(LabState::default())),
            rows: broadcast::Sender::new(BEHIND),
            changes: watch::Sender::new(0),
            control: DemoControl::new(control, &config.approaches, client.clone()),
            client,
            config: config.clone(),
        }))
    }

    /// Takes in an event, however it arrived.
    pub fn event(&self, event: Event) {
        let media = event.media.then_some(event.time_us);
        let mut history = lock(&self.0.history);
        let ends = history.ends(&event);
        let row = history.push(event);
        drop(history);
        let Some(row) = row else {
            if let Some(time_us) = media {
                lock(&self.0.map).speech(&ends.0, &ends.1, time_us);
            }
            return;
        };
        if lock(&self.0.map).row(&row) {
            self.changed();
        }
        // Nobody listens: nothing to tell.
        let _nobody = self.0.rows.send(Arc::new(row));
    }

    pub(crate) fn history(&self) -> MutexGuard<'_, History> {
        lock(&self.0.history)
    }

    pub(crate) fn map(&self) -> MutexGuard<'_, Map> {
        lock(&self.0.map)
    }

    pub(crate) fn lab(&self) -> Result<LabState, String> {
        lock(&self.0.lab).clone()
    }

    pub(crate) fn set_lab(&self, lab: Result<LabState, String>) {
        let moved = lab.as_ref().is_ok_and(|lab| self.map().lab(lab));
        let mut held = lock(&self.0.lab);
        if *held != lab {
            *held = lab;
            drop(held);
            self.changed();
        } else if moved {
            drop(held);
            self.changed();
        }
    }

    pub(crate) fn changed(&self) {
        self.0.changes.send_modify(|n| *n = n.wrapping_add(1));
    }

    pub(crate) fn rows(&self) -> broadcast::Receiver<Arc<Row>> {
        self.0.rows.subscribe()
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    pub(crate) fn control(&self) -> &DemoControl {
        &self.0.control
    }

    pub(crate) fn client(&self) -> &reqwest::Client {
        &self.0.client
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    pub(crate) fn services(&self) -> &[ServiceEntry] {
        &self.0.config.services
    }
}

/// Unix time in microseconds.
pub(crate) fn now_us() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |d| u64::try_from(d.as_micros()).unwrap_or(u64::MAX))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
