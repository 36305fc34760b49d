//! Server-sent events: `row` (JSON, a new or changed message), `map` and `calls` (HTML fragments of
//! our own templates), `reset` (the browser fell behind and must load the list again).

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::stream::{self, Stream, StreamExt as _};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

use crate::history::Row;
use crate::page;
use crate::state::Console;

/// The map is redrawn at most this often.
const REDRAW: Duration = Duration::from_millis(250);

pub(super) async fn stream(
    State(console): State<Console>,
    headers: HeaderMap,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let last = headers.get("last-event-id");
    let last = last
        .and_then(|id| id.to_str().ok()?.parse().ok())
        .unwrap_or(0);
    // Subscribe first: what arrives in between comes twice, and a row replaces itself by its id.
    let live = console.rows();
    let past: Vec<Event> = console.history().after(last).map(row).collect();
    let rows = stream::iter(past).chain(rows(live));
    let mut changes = console.changes();
    changes.mark_changed();
    let events = stream::select(rows, fragments(console, changes));
    Sse::new(events.map(Ok)).keep_alive(KeepAlive::default())
}

fn row(row: &Row) -> Event {
    let event = Event::default().event("row").id(row.id.to_string());
    event.json_data(row).unwrap_or_default()
}

fn rows(live: Receiver<Arc<Row>>) -> impl Stream<Item = Event> {
    stream::unfold(live, |mut live| async move {
        let event = match live.recv().await {
            Ok(changed) => row(&changed),
            Err(RecvError::Lagged(_)) => Event::default().event("reset").data("behind"),
            Err(RecvError::Closed) => return None,
        };
        Some((event, live))
    })
}

fn fragments(console: Console, changes: watch::Receiver<u64>) -> impl Stream<Item = Event> {
    let drawn = stream::unfold((console, changes), |(console, mut changes)| async move {
        changes.changed().await.ok()?;
        tokio::time::sleep(REDRAW).await;
        changes.borrow_and_update();
        let fragment = |name, html: askama::Result<String>| {
            html.ok()
                .map(|html| Event::default().event(name).data(html))
        };
        let events: Vec<Event> = [
            fragment("map", page::map(&console)),
            fragment("calls", page::calls(&console)),
        ]
        .into_iter()
        .flatten()
        .collect();
        Some((stream::iter(events), (console, changes)))
    });
    drawn.flatten()
}
