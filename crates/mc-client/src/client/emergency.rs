//! Emergencies in group calls: declared by us, told by the server, over (TS 24.379 6.2.8.1).

use floor_control::message::DenyCause;
use mc_ids::GroupId;
use mc_sip::{DialogId, Method};

use crate::call::CallCommand;
use crate::call_id::CallId;
use crate::client::established::{Established, described};
use crate::client::outgoing::{Progress, Refusal, refusal};
use crate::event::ClientEvent;
use crate::handle::CallFloor;

/// A change of an emergency that the server was asked for.
#[derive(Debug)]
pub(super) struct Asked {
    call: CallId,
    active: bool,
    /// The floor is asked for afterwards, perhaps under a functional alias.
    press: Option<Option<String>>,
}

impl Established {
    /// Declares an emergency in a group and asks for the floor.
    //= TS 24.379 6.2.8.1.2
    pub(super) async fn emergency_call(&mut self, group: &GroupId, alias: Option<String>) {
        let call = CallId::from(group);
        match self.leg_of(&call) {
            Some((_, true)) => self.tell_media(&call, CallCommand::Press(alias)),
            Some((id, false)) => {
                let press = Some(alias);
                self.ask(
                    &id,
                    group,
                    Asked {
                        call,
                        active: true,
                        press,
                    },
                );
            }
            None => {
                let floor = alias.map_or(CallFloor::Request, CallFloor::RequestAs);
                self.group_call(group, floor, true).await;
            }
        }
    }

    /// Ends the emergency of a group.
    //= TS 24.379 6.2.8.1.3
    pub(super) fn end_emergency(&mut self, group: &GroupId) {
        let call = CallId::from(group);
        if let Some((id, _)) = self.leg_of(&call) {
            let (active, press) = (false, None);
            self.ask(
                &id,
                group,
                Asked {
                    call,
                    active,
                    press,
                },
            );
        }
    }

    fn leg_of(&self, call: &CallId) -> Option<(DialogId, bool)> {
        let mut legs = self.legs.iter();
        let found = legs.find(|(_, leg)| leg.call == *call);
        found.map(|(id, leg)| (id.clone(), leg.emergency))
    }

    /// Sends the re-INVITE.
    fn ask(&mut self, id: &DialogId, group: &GroupId, asked: Asked) {
        let Some(leg) = self.legs.get_mut(id) else {
            return;
        };
        let re_invite = leg.dialog.request(Method::Invite);
        let (dialog, description) = (leg.dialog.clone(), leg.description.clone());
        let cseq = re_invite.headers.cseq().map_or(1, |cseq| cseq.number);
        let priority = &self.config.emergency_resource_priority;
        let priority = asked.active.then_some(priority);
        let request = self.make(|r| r.emergency(re_invite, group, description, priority));
        let mut responses = self.link.endpoint.request(request, self.link.server);
        let progress = self.progress.0.clone();
        tokio::spawn(async move {
            let result = match responses.final_response().await {
                Ok(response) if response.status.is_success() => {
                    responses.ack(dialog.ack(cseq));
                    Ok(())
                }
                Ok(response) => {
                    let (status, detail) = (response.status.code(), described(&response));
                    Err(refusal(status, detail, Some(response)))
                }
                Err(error) => Err(Box::new(Refusal::local(error.to_string()))),
            };
            // A client that stopped meanwhile needs no answer.
            let _stopped = progress.send(Progress::Emergency(asked, result)).await;
        });
    }

    pub(super) fn on_emergency_answer(&mut self, asked: Asked, result: Result<(), Box<Refusal>>) {
        let Asked {
            call,
            active,
            press,
        } = asked;
        match result {
            Ok(()) => {
                self.put_emergency(&call, active);
                if let Some(alias) = press {
                    self.tell_media(&call, CallCommand::Press(alias));
                }
            }
            Err(refused) => self.emergency_refused(call, press.is_some(), &refused),
        }
    }

    fn emergency_refused(&self, call: CallId, pressed: bool, refused: &Refusal) {
        self.emit(ClientEvent::EmergencyRefused {
            call: call.clone(),
            status: refused.status,
            warning: refused.warning(),
            detail: refused.detail.clone(),
        });
        // Who pressed the emergency key is not heard as if it had been another one.
        if pressed {
            self.emit(ClientEvent::FloorDenied {
                call,
                cause: DenyCause::Other.into(),
                phrase: "emergency refused".to_owned(),
            });
        }
    }

    /// The call is one of an emergency from now on, or no longer.
    pub(super) fn put_emergency(&mut self, call: &CallId, active: bool) {
        let mut legs = self.legs.values_mut();
        let Some(leg) = legs.find(|leg| leg.call == *call) else {
            return;
        };
        if leg.emergency == active {
            return;
        }
        leg.emergency = active;
        self.tell_media(call, CallCommand::Emergency(active));
        tracing::info!(node = self.config.node, %call, active, "emergency");
        let call = call.clone();
        self.emit(ClientEvent::Emergency { call, active });
    }

    pub(super) fn tell_media(&self, call: &CallId, command: CallCommand) {
        if let Some(commands) = self.table.get(call)
            && commands.try_send(command).is_err()
        {
            tracing::error!(%call, "media task of the call is gone");
        }
    }
}
