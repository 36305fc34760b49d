//! A site with two MC users beside it, and the calls that the security claims are shown on.

use std::path::Path;
use std::time::Duration;

use lab::gateway::Gateway;
use lab::parties::{Heard, Party, http_config};
use lab::radios::Radios;
use lab::site::{Approach, Site, UnitIs};
use lab::supervisor::Lab;
use mc_audio::wav::{Rate, Wav};
use mc_client::{CallId, Callee, ClientEvent, Commencement, PrivateCall};
use mc_ids::{GroupId, McServiceId};
use serde_json::Value;
use testkit::recording::Recording;
use tokio::sync::broadcast::Receiver;

use crate::support::{PATIENCE, recording, start_site_in, until};

/// A group of MC users only.
pub(crate) const COMMAND: &str = "sip:command-1@mc.example";
pub(crate) const ALICE: &str = "sip:alice@mc.example";
pub(crate) const BOB: &str = "sip:bob@mc.example";

/// One approach as it runs.
pub(crate) struct Stage {
    pub(crate) lab: Lab,
    pub(crate) site: &'static Site,
    pub(crate) alice: Party,
    pub(crate) bob: Party,
    pub(crate) radios: Radios,
    /// What alice's client told her before it was ready.
    pub(crate) told: Vec<ClientEvent>,
}

impl Stage {
    /// Everybody is ready: gateway, alice and bob, who are members of the site's group and of one that
    /// the gateway has no part in.
    pub(crate) async fn up(dir: &Path, approach: Approach) -> Self {
        let lab = start_site_in(dir, approach).await;
        Self::in_lab(lab, approach).await
    }

    pub(crate) async fn in_lab(lab: Lab, approach: Approach) -> Self {
        let site = approach.site();
        let gateway = Gateway::of(&lab, site.gateway());
        gateway.until_ready(PATIENCE).await;
        let failure = gateway.steps().await.failure();
        assert_eq!(failure, None);
        let groups = [site.group, COMMAND];
        let alice = Party::start(&lab, "alice", &groups).await.unwrap();
        let mut at_alice = alice.follow();
        let bob = Party::start(&lab, "bob", &groups).await.unwrap();
        for party in [&alice, &bob] {
            if let Err(steps) = party.until_ready(PATIENCE).await {
                panic!("{} is not ready: {steps:#?}", party.user);
            }
        }
        let told = heard_so_far(&mut at_alice);
        let radios = Radios::at(lab.addresses().of(site.radios().health)).unwrap();
        Self {
            lab,
            site,
            alice,
            bob,
            radios,
            told,
        }
    }

    /// What a radio is called by on the MC side.
    pub(crate) fn callee(&self, unit: &str) -> Callee {
        let address = self.site.address(unit);
        match self.site.unit_is {
            UnitIs::FunctionalAlias => Callee::FunctionalAlias(address),
            UnitIs::User => Callee::User(id(&address)),
        }
    }

    /// The MC identity whose keys protect what a radio says.
    pub(crate) fn identity(&self, unit: &str) -> String {
        format!(
            "sip:{}@{}",
            account(self.site, unit),
            self.site.domain.name()
        )
    }

    /// A radio talks in the site's group for a moment, whether anybody hears it or not.
    pub(crate) async fn radio_tries(&self, unit: &str) {
        let talk = self.radios.talk(unit, beep()).await.unwrap();
        self.radios.until_ended(talk.id).await.unwrap();
    }

    /// A radio talks in the site's group for a moment, and bob hears it; returns who talked.
    pub(crate) async fn radio_talks(&self, unit: &str) -> Option<String> {
        let mut at_bob = self.bob.follow();
        let talk = self.radios.talk(unit, beep()).await.unwrap();
        let talker = until(&mut at_bob, "radio", |e| match e {
            ClientEvent::FloorTaken { talker, .. } => Some(talker.clone()),
            _ => None,
        })
        .await;
        hears(&mut at_bob).await;
        assert_eq!(
            self.radios.until_ended(talk.id).await.unwrap().state,
            "done"
        );
        idle(&mut at_bob).await;
        talker
    }

    /// Alice talks in a group, and bob hears it.
    pub(crate) async fn alice_talks(&self, group: &str, functional_alias: Option<&str>) {
        let group: GroupId = group.parse().unwrap();
        let (mut at_alice, mut at_bob) = (self.alice.follow(), self.bob.follow());
        let client = &self.alice.client;
        let made = match functional_alias {
            Some(alias) => client.group_call_as(&group, alias).await,
            None => client.group_call(&group, true).await,
        };
        made.unwrap();
        granted(&mut at_alice).await;
        until(&mut at_bob, "floor taken", |e| {
            matches!(e, ClientEvent::FloorTaken { .. }).then_some(())
        })
        .await;
        speak(&self.alice, &CallId::from(&group)).await;
        hears(&mut at_bob).await;
        self.alice.client.release_ptt(&group).await.unwrap();
        idle(&mut at_bob).await;
    }

    /// Alice talks in a call she is in, and bob hears it.
    pub(crate) async fn alice_talks_again(&self, group: &str) {
        let group: GroupId = group.parse().unwrap();
        let (mut at_alice, mut at_bob) = (self.alice.follow(), self.bob.follow());
        self.alice.client.press_ptt(&group).await.unwrap();
        granted(&mut at_alice).await;
        speak(&self.alice, &CallId::from(&group)).await;
        hears(&mut at_bob).await;
        self.alice.client.release_ptt(&group).await.unwrap();
        idle(&mut at_bob).await;
    }

    /// Alice calls bob and talks, and bob answers and talks.
    pub(crate) async fn alice_calls_bob(&self, functional_alias: Option<&str>) {
        let (mut at_alice, mut at_bob) = (self.alice.follow(), self.bob.follow());
        let wanted = PrivateCall {
            functional_alias: functional_alias.map(str::to_owned),
            ..private_call(Callee::User(id(BOB)))
        };
        let at_caller = self.alice.client.private_call(wanted).await.unwrap();
        let at_called = offered(&mut at_bob).await;
        granted(&mut at_alice).await;
        speak(&self.alice, &at_caller).await;
        hears(&mut at_bob).await;
        self.alice.client.release_ptt(&at_caller).await.unwrap();
        idle(&mut at_bob).await;
        self.bob.client.press_ptt(&at_called).await.unwrap();
        granted(&mut at_bob).await;
        speak(&self.bob, &at_called).await;
        hears(&mut at_alice).await;
        self.hang_up(&self.alice, &at_caller).await;
    }

    /// A radio calls bob and talks.
    pub(crate) async fn radio_calls_bob(&self, unit: &str) {
        let mut at_bob = self.bob.follow();
        self.radios.call(unit, BOB).await.unwrap();
        let call = offered(&mut at_bob).await;
        until(&mut at_bob, "call", |e| {
            matches!(e, ClientEvent::CallStarted { .. }).then_some(())
        })
        .await;
        let talk = self.until_radio_talks(unit).await;
        hears(&mut at_bob).await;
        self.radios.until_ended(talk).await.unwrap();
        self.radios.hang_up(unit).await.unwrap();
        until(&mut at_bob, "release", |e| match e {
            ClientEvent::Released { call: over, .. } => (*over == call).then_some(()),
            _ => None,
        })
        .await;
    }

    /// The radio hears a little later than bob that its call is up.
    async fn until_radio_talks(&self, unit: &str) -> u64 {
        let up = async {
            loop {
                let radio = self.radios.unit(unit).await.unwrap();
                if radio.call.is_some_and(|call| call.state == "up") {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, up).await.unwrap();
        self.radios.talk(unit, beep()).await.unwrap().id
    }

    /// Alice calls a radio and talks.
    pub(crate) async fn alice_calls_radio(&self, unit: &str) {
        let mut at_alice = self.alice.follow();
        let wanted = private_call(self.callee(unit));
        let call = self.alice.client.private_call(wanted).await.unwrap();
        granted(&mut at_alice).await;
        speak(&self.alice, &call).await;
        self.hang_up(&self.alice, &call).await;
    }

    pub(crate) async fn hang_up(&self, party: &Party, call: &CallId) {
        let mut heard = party.follow();
        party.client.hang_up(call).await.unwrap();
        until(&mut heard, "release", |e| match e {
            ClientEvent::Released { call: over, .. } => (over == call).then_some(()),
            _ => None,
        })
        .await;
    }

    /// What the gateway says of itself.
    pub(crate) async fn status(&self) -> Value {
        let http = mc_runtime::http::client(&http_config(&self.lab)).unwrap();
        let address = self.lab.addresses().of(self.site.gateway().health);
        let answer = http.get(format!("https://{address}/status")).send().await;
        answer.unwrap().json().await.unwrap()
    }

    /// The gateway's audit log.
    pub(crate) fn audit(&self) -> Vec<Value> {
        let name = match self.site.approach {
            "7.1" => "audit.jsonl".to_owned(),
            approach => format!("audit-{approach}.jsonl"),
        };
        let text = std::fs::read_to_string(self.lab.state().file("logs", &name)).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Stops everybody and reads what was left behind.
    pub(crate) async fn down(self) -> Recording {
        self.alice.stop().await;
        self.bob.stop().await;
        recording(self.lab)
    }
}

/// The account whose keys protect what a radio says.
pub(crate) fn account(site: &Site, unit: &str) -> String {
    match site.unit_is {
        UnitIs::FunctionalAlias => "segy".to_owned(),
        UnitIs::User => format!("unit-{unit}"),
    }
}

pub(crate) fn id(uri: &str) -> McServiceId {
    McServiceId::new(uri).unwrap()
}

pub(crate) fn private_call(callee: Callee) -> PrivateCall {
    PrivateCall {
        callee,
        commencement: Commencement::Automatic,
        implicit_floor: true,
        functional_alias: None,
    }
}

pub(crate) async fn offered(at: &mut Receiver<Heard>) -> CallId {
    until(at, "offer", |e| match e {
        ClientEvent::CallOffered { call, .. } => Some(call.clone()),
        _ => None,
    })
    .await
}

pub(crate) async fn granted(at: &mut Receiver<Heard>) {
    until(at, "floor", |e| {
        matches!(e, ClientEvent::FloorGranted { .. }).then_some(())
    })
    .await;
}

async fn idle(at: &mut Receiver<Heard>) {
    until(at, "floor idle", |e| {
        matches!(e, ClientEvent::FloorIdle { .. }).then_some(())
    })
    .await;
}

/// All that has happened already, without speech.
pub(crate) fn heard_so_far(at: &mut Receiver<Heard>) -> Vec<ClientEvent> {
    let mut events = Vec::new();
    while let Ok(Heard { event, .. }) = at.try_recv() {
        if !matches!(event, ClientEvent::Speech(_)) {
            events.push(event);
        }
    }
    events
}

pub(crate) async fn hears(at: &mut Receiver<Heard>) {
    until(at, "speech", |e| {
        matches!(e, ClientEvent::Speech(_)).then_some(())
    })
    .await;
}

/// A fifth of a second.
pub(crate) async fn speak(party: &Party, call: &CallId) {
    for _ in 0..10 {
        let tone = (0..320i16).map(|i| if i % 16 < 8 { 8000 } else { -8000 });
        party
            .client
            .send_speech(call, tone.collect())
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Half a second of a radio.
fn beep() -> Vec<u8> {
    let samples = (0..4000i16).map(|i| if i % 8 < 4 { 8000 } else { -8000 });
    let wav = Wav {
        rate: Rate::Hz8000,
        samples: samples.collect(),
    };
    wav.write().unwrap()
}
