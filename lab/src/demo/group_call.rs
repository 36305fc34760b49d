//! Group calls between a radio and the MC clients, with real speech.

use super::runner::Stage;
use super::talk::{Carried, client_talks, radio_talks};
use crate::parties::now_us;

/// A radio talks, an MC client listens.
pub(super) async fn lmr_to_mc(stage: &Stage<'_>) -> Result<Carried, String> {
    let mut heard = stage.listener.follow();
    radio_talks(stage, &stage.call, &mut heard).await
}

/// An MC client talks, a radio listens.
pub(super) async fn mc_to_lmr(stage: &Stage<'_>) -> Result<Carried, String> {
    let hearer = stage.site.units[1];
    let recorded = stage.radios.record(hearer).await;
    recorded.map_err(|e| e.to_string())?;
    let mut heard = stage.talker.follow();
    let pressed_us = now_us();
    let called = stage.talker.client.group_call(stage.group, true).await;
    called.map_err(|e| e.to_string())?;
    client_talks(stage, &stage.call, &mut heard, pressed_us, hearer).await
}
