//! What a run left behind: the events of every node and, from a lab that exports them, the keys.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use mc_trace::pcapng::{Capture, View};
use mc_trace::{Event, KeyLogEntry, Protocol, keylog, lines};

/// The events and keys of one run, in order of time.
#[derive(Debug)]
pub struct Recording {
    /// Every event of every node.
    pub events: Vec<Event>,
    /// Exported keys.
    pub keys: Vec<KeyLogEntry>,
}

impl Recording {
    /// Reads a run's folder: files ending in `.jsonl` with `trace` in their name hold events, with
    /// `keys` in their name the key log; sub-folders are searched too.
    ///
    /// # Errors
    /// An unreadable file, a line that is no event, or no event at all.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let mut files = Vec::new();
        collect(folder, 0, &mut files)?;
        let (mut events, mut keys) = (Vec::new(), Vec::new());
        for file in files {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            let text =
                || std::fs::read_to_string(&file).with_context(|| file.display().to_string());
            if name.contains("trace") {
                for event in lines::read(&text()?) {
                    events.push(event.with_context(|| file.display().to_string())?);
                }
            } else if name.contains("keys") {
                keys.extend(keylog::read(&text()?));
            }
        }
        ensure!(!events.is_empty(), "no trace in {}", folder.display());
        events.sort_by_key(|event| event.time_us);
        Ok(Self { events, keys })
    }

    /// The run as one capture.
    #[must_use]
    pub fn capture(&self, view: View) -> Vec<u8> {
        Capture::of(view, &keylog::tls_lines(&self.keys), &self.events)
    }

    /// Events of a protocol that have octets.
    pub fn of(&self, protocol: Protocol) -> impl Iterator<Item = &Event> {
        let wanted = move |e: &&Event| e.protocol == protocol && !e.raw.is_empty();
        self.events.iter().filter(wanted)
    }
}

fn collect(folder: &Path, depth: u8, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() && depth < 3 {
            collect(&path, depth + 1, files)?;
        } else if path.extension().is_some_and(|e| e == "jsonl") {
            files.push(path);
        }
    }
    files.sort();
    Ok(())
}
