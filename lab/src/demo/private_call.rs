//! Private calls between a radio and an MC client, with real speech.

use std::time::Duration;

use mc_client::{CallId, Callee, ClientEvent, Commencement, PrivateCall};
use mc_ids::McServiceId;
use tokio::time::Instant;

use super::runner::Stage;
use super::talk::{Carried, PATIENCE, await_event, clear, client_talks, radio_talks};
use crate::client::tell::line;
use crate::parties::now_us;
use crate::site::UnitIs;

/// How often a radio is looked at.
const POLL: Duration = Duration::from_millis(20);

/// A radio calls an MC client and talks.
pub(super) async fn lmr_to_mc(stage: &Stage<'_>) -> Result<Carried, String> {
    let unit = stage.site.units[0];
    let mut heard = stage.listener.follow();
    let to = format!("sip:{}@mc.example", stage.listener.user);
    let dialled = stage.radios.call(unit, &to).await;
    dialled.map_err(|e| e.to_string())?;
    let carried = async {
        let offered = await_event(&mut heard, "private call", |event| {
            matches!(event, ClientEvent::CallOffered { .. })
        });
        let call = call_of(&offered.await?.event)?;
        until_up(stage, unit).await?;
        let carried = radio_talks(stage, &call, &mut heard).await;
        Ok((call, carried?))
    };
    let carried: Result<_, String> = carried.await;
    // The radio hangs up, and both ends hear of it.
    let hung_up = stage.radios.hang_up(unit).await;
    let (call, carried) = carried?;
    hung_up.map_err(|e| e.to_string())?;
    let released = await_event(
        &mut heard,
        "end of the call",
        |event| matches!(event, ClientEvent::Released { call: over, .. } if *over == call),
    );
    released.await?;
    until_over(stage, unit).await?;
    Ok(carried)
}

/// An MC client calls a radio and talks.
pub(super) async fn mc_to_lmr(stage: &Stage<'_>) -> Result<Carried, String> {
    let unit = stage.site.units[0];
    let recorded = stage.radios.record(unit).await;
    recorded.map_err(|e| e.to_string())?;
    let mut heard = stage.talker.follow();
    let pressed_us = now_us();
    let wanted = PrivateCall {
        callee: callee(stage, unit)?,
        commencement: Commencement::Automatic,
        implicit_floor: true,
        functional_alias: None,
    };
    let call = stage.talker.client.private_call(wanted).await;
    let call = call.map_err(|e| e.to_string())?;
    let carried = client_talks(stage, &call, &mut heard, pressed_us, unit).await;
    // The client hangs up, and the radio hears of it.
    clear(&[stage.talker], &call).await;
    let carried = carried?;
    until_over(stage, unit).await?;
    Ok(carried)
}

/// Whom an MC client calls to reach a radio.
fn callee(stage: &Stage<'_>, unit: &str) -> Result<Callee, String> {
    let address = stage.site.address(unit);
    Ok(match stage.site.unit_is {
        UnitIs::FunctionalAlias => Callee::FunctionalAlias(address),
        UnitIs::User => Callee::User(McServiceId::new(address).map_err(|e| e.to_string())?),
    })
}

fn call_of(event: &ClientEvent) -> Result<CallId, String> {
    if let ClientEvent::CallOffered { call, .. } = event {
        return Ok(call.clone());
    }
    Err(format!("no private call but {}", line(event)))
}

/// Waits until the radio's call is answered.
async fn until_up(stage: &Stage<'_>, unit: &str) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let radio = stage.radios.unit(unit).await.map_err(|e| e.to_string())?;
        match radio.call {
            Some(call) if call.state == "up" => return Ok(()),
            Some(_) => tokio::time::sleep(POLL).await,
            None => return Err(format!("radio {unit}: {}", radio.last_call_reason())),
        }
    }
    Err(format!("the call of radio {unit} is not answered"))
}

/// Waits until the radio is in no call.
async fn until_over(stage: &Stage<'_>, unit: &str) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let radio = stage.radios.unit(unit).await.map_err(|e| e.to_string())?;
        if radio.call.is_none() {
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
    }
    Err(format!("radio {unit} did not hear that the call is over"))
}
