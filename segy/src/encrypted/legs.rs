//! What bridges tell the MC side, as requests of the client it is for.

use std::sync::Arc;

use mc_client::{CallId, Callee, ClientError, Commencement, McClient, PrivateCall, Rejection};
use mc_ids::{GroupId, McServiceId};
use tokio::sync::mpsc;

use super::roster::Roster;
use super::stamp::Sink;
use crate::bridge::{Failure, McCommand, McEvent, Speech};
use crate::status::GatewayStatus;
use crate::user_map::Represented;

/// A private call to be made.
pub(super) struct ToBeMade {
    pub(super) callee: Callee,
    /// Whether the called user is to be alerted, whatever he has set.
    pub(super) manual: bool,
    pub(super) events: mpsc::Sender<McEvent>,
}

/// Carries out a group's commands.
pub(super) async fn group(
    roster: Arc<Roster>,
    group: GroupId,
    mut commands: mpsc::Receiver<McCommand>,
) {
    let call = CallId::from(&group);
    while let Some(command) = commands.recv().await {
        let done = match command {
            McCommand::StartCall(represented) => enter(&roster, &group, &represented).await,
            McCommand::RequestFloor(represented) => {
                if speaks(&roster, &group, &represented.identity) {
                    ask(&roster, &call, &represented).await
                } else {
                    enter(&roster, &group, &represented).await
                }
            }
            McCommand::DeclareEmergency(represented) => {
                declare(&roster, &group, &represented).await
            }
            McCommand::LeaveCall => leave(&roster, &call).await,
            McCommand::ReleaseFloor => {
                let client = lead(&roster, &group).await;
                if let Some(group) = roster.groups().get_mut(&group) {
                    group.merge.is_silent();
                }
                match client {
                    Some(client) => client.release_ptt(&call).await,
                    None => Ok(()),
                }
            }
            McCommand::Speech(speech) => match lead(&roster, &group).await {
                Some(client) => send(&client, &call, speech, &roster.status).await,
                None => Ok(()),
            },
            // Calls of groups are answered by the client.
            McCommand::Answer | McCommand::Reject(_) => Ok(()),
        };
        if let Err(error) = done {
            tracing::debug!(%group, %error, "MC side did not take a command");
        }
    }
}

fn speaks(roster: &Roster, group: &GroupId, client: &McServiceId) -> bool {
    let mut groups = roster.groups();
    groups
        .get_mut(group)
        .is_some_and(|group| group.merge.speaks(client))
}

/// The client that leads in a group, if it runs.
async fn lead(roster: &Arc<Roster>, group: &GroupId) -> Option<Arc<McClient>> {
    let lead = roster
        .groups()
        .get(group)
        .and_then(|group| group.merge.lead().cloned())?;
    roster.client(&lead).await.ok()
}

/// Makes a group call, or gets into the one that is up.
async fn enter(
    roster: &Arc<Roster>,
    group: &GroupId,
    represented: &Represented,
) -> Result<(), ClientError> {
    speaks(roster, group, &represented.identity);
    let entered = async {
        let client = roster.client(&represented.identity).await?;
        match &represented.functional_alias {
            Some(alias) => client.group_call_as(group, alias).await,
            None => client.group_call(group, true).await,
        }
    };
    let entered = entered.await;
    if let Err(error) = &entered
        && let Some(group) = roster.groups().get_mut(group)
    {
        let refused = not_sent(error);
        for event in group.merge.on_event(&represented.identity, refused) {
            group.sink.tell(event);
        }
    }
    entered
}

/// Declares an emergency: in the call that is up, or by making one.
async fn declare(
    roster: &Arc<Roster>,
    group: &GroupId,
    represented: &Represented,
) -> Result<(), ClientError> {
    speaks(roster, group, &represented.identity);
    let client = roster.client(&represented.identity).await?;
    let alias = represented.functional_alias.as_deref();
    client.emergency_call(group, alias).await
}

fn not_sent(error: &ClientError) -> McEvent {
    let (status, detail) = (0, error.to_string());
    McEvent::CallRefused { status, detail }
}

async fn ask(
    roster: &Arc<Roster>,
    call: &CallId,
    represented: &Represented,
) -> Result<(), ClientError> {
    let client = roster.client(&represented.identity).await?;
    press(&client, call, represented).await
}

async fn press(
    client: &McClient,
    call: &CallId,
    represented: &Represented,
) -> Result<(), ClientError> {
    match &represented.functional_alias {
        Some(alias) => client.press_ptt_as(call, alias).await,
        None => client.press_ptt(call).await,
    }
}

async fn leave(roster: &Roster, call: &CallId) -> Result<(), ClientError> {
    for client in roster.running().await {
        client.hang_up(call).await?;
    }
    Ok(())
}

async fn send(
    client: &McClient,
    call: &CallId,
    speech: Speech,
    status: &GatewayStatus,
) -> Result<(), ClientError> {
    let frame = speech.samples.to_vec();
    match client.send_speech_timed(call, frame).await? {
        Some(left) => status.counters.delay_to_mc.record(speech.worked(left)),
        None => status.counters.dropped_to_mc.add(1),
    }
    Ok(())
}

/// Makes a private call with its first command, and carries out the others.
pub(super) async fn made(
    roster: Arc<Roster>,
    wanted: ToBeMade,
    mut commands: mpsc::Receiver<McCommand>,
) {
    let Some(McCommand::StartCall(represented)) = commands.recv().await else {
        return;
    };
    let events = wanted.events.clone();
    match call(&roster, wanted, &represented).await {
        Ok(call) => offered(roster, (represented.identity, call), commands).await,
        Err(error) => {
            // The bridge may be gone.
            let _gone = events.send(not_sent(&error)).await;
        }
    }
}

async fn call(
    roster: &Arc<Roster>,
    wanted: ToBeMade,
    represented: &Represented,
) -> Result<CallId, ClientError> {
    let client = roster.client(&represented.identity).await?;
    let commencement = match wanted.manual {
        true => Commencement::Manual,
        false => Commencement::Automatic,
    };
    let wanted_call = PrivateCall {
        callee: wanted.callee,
        commencement,
        // A radio's user presses when the call is up.
        implicit_floor: false,
        functional_alias: represented.functional_alias.clone(),
    };
    let _making = roster.making().await;
    let call = client.private_call(wanted_call).await?;
    let key = (represented.identity.clone(), call.clone());
    roster.private().insert(key, Sink::new(wanted.events));
    Ok(call)
}

/// Carries out the commands of a private call until its bridge has ended.
pub(super) async fn offered(
    roster: Arc<Roster>,
    key: (McServiceId, CallId),
    mut commands: mpsc::Receiver<McCommand>,
) {
    let (identity, call) = &key;
    if let Ok(client) = roster.client(identity).await {
        while let Some(command) = commands.recv().await {
            let done = match command {
                McCommand::Answer => client.accept(call).await,
                McCommand::Reject(failure) => client.reject(call, rejection(failure)).await,
                // The MC system knows no emergency in private calls.
                McCommand::RequestFloor(represented) | McCommand::DeclareEmergency(represented) => {
                    press(&client, call, &represented).await
                }
                McCommand::ReleaseFloor => client.release_ptt(call).await,
                McCommand::LeaveCall => client.hang_up(call).await,
                McCommand::Speech(speech) => send(&client, call, speech, &roster.status).await,
                // It is made already.
                McCommand::StartCall(_) => Ok(()),
            };
            if let Err(error) = done {
                tracing::debug!(%call, %error, "MC side did not take a command");
            }
        }
        // Whatever is left of it; a client that has stopped has left it.
        let _stopped = client.hang_up(call).await;
    }
    roster.private().remove(&key);
}

const fn rejection(failure: Failure) -> Rejection {
    match failure {
        Failure::Unknown | Failure::Forbidden => Rejection::Unknown,
        Failure::Busy => Rejection::Busy,
        Failure::Declined => Rejection::Declined,
        Failure::Unavailable | Failure::Failed => Rejection::Unavailable,
    }
}
