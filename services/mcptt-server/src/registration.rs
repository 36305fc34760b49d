//! The registrar stand-in: which client of which MCPTT user is reached where, under which CSK.

use std::collections::BTreeMap;
use std::sync::Arc;

use mc_client::BodyProtection;
use mc_ids::{ClientId, McServiceId};
use mc_sip::{Peer, Uri};
use mc_xml::poc_settings::AnswerMode;

use crate::interconnection::Partner;
use crate::media_plane::FloorKey;

/// One MCPTT client that is registered and authorised here, or served by an interconnected system.
#[derive(Debug, Clone)]
pub struct Binding {
    /// Public user identity; of a user of another system its MCPTT ID, as nothing else is known.
    pub impu: Uri,
    /// Address of the client's Contact, or the service identity of the other system's function.
    pub contact: Uri,
    /// Flow the REGISTER came over, or that of the interconnection; requests go over it.
    pub flow: Peer,
    /// MCPTT ID from the access token.
    pub mcptt_id: McServiceId,
    /// MCPTT client ID.
    pub client_id: ClientId,
    /// What floor control is protected with: the CSK, if the client uploaded one since the server
    /// started, or the SPK of its system.
    pub floor_key: Option<FloorKey>,
    /// What protects XML bodies, derived from the CSK or the SPK.
    pub bodies: Option<BodyProtection>,
    /// Published answer mode.
    pub answer_mode: Option<AnswerMode>,
    /// End of the registration, seconds since the Unix epoch.
    pub expires_unix_s: u64,
    /// The interconnected system that serves the user; `None` for a client registered here.
    pub partner: Option<Arc<Partner>>,
}

/// All bindings, by public user identity.
#[derive(Debug, Default)]
pub struct Registrations {
    by_impu: BTreeMap<String, Binding>,
}

impl Registrations {
    /// Adds or replaces the binding of an IMPU.
    pub fn bind(&mut self, binding: Binding) {
        self.by_impu.insert(key(&binding.impu), binding);
    }

    /// The binding of an IMPU that has not expired.
    #[must_use]
    pub fn by_impu(&self, impu: &Uri, now_unix_s: u64) -> Option<&Binding> {
        self.by_impu
            .get(&key(impu))
            .filter(|binding| binding.expires_unix_s > now_unix_s)
    }

    /// The binding whose Contact is this address.
    #[must_use]
    pub fn by_contact(&self, contact: &Uri, now_unix_s: u64) -> Option<&Binding> {
        let same = |binding: &&Binding| {
            binding.contact.user == contact.user
                && binding.contact.host.eq_ignore_ascii_case(&contact.host)
                && binding.contact.port.unwrap_or(5060) == contact.port.unwrap_or(5060)
        };
        self.live(now_unix_s).find(same)
    }

    /// Every live binding of an MCPTT user.
    pub fn of_user<'a>(
        &'a self,
        user: &'a McServiceId,
        now_unix_s: u64,
    ) -> impl Iterator<Item = &'a Binding> {
        self.live(now_unix_s)
            .filter(move |binding| binding.mcptt_id == *user)
    }

    /// Every binding that has not expired.
    pub fn live(&self, now_unix_s: u64) -> impl Iterator<Item = &Binding> {
        self.by_impu
            .values()
            .filter(move |binding| binding.expires_unix_s > now_unix_s)
    }

    /// Changes the binding of an IMPU.
    pub fn by_impu_mut(&mut self, impu: &Uri) -> Option<&mut Binding> {
        self.by_impu.get_mut(&key(impu))
    }

    /// Removes the binding of an IMPU.
    pub fn remove(&mut self, impu: &Uri) -> Option<Binding> {
        self.by_impu.remove(&key(impu))
    }

    /// Removes and returns the bindings of a user.
    pub fn remove_user(&mut self, user: &McServiceId) -> Vec<Binding> {
        let of_user = |_: &String, binding: &mut Binding| binding.mcptt_id == *user;
        let removed = self.by_impu.extract_if(.., of_user);
        removed.map(|(_, binding)| binding).collect()
    }

    /// Removes and returns what has expired.
    pub fn expire(&mut self, now_unix_s: u64) -> Vec<Binding> {
        let expired: Vec<String> = self
            .by_impu
            .iter()
            .filter(|(_, binding)| binding.expires_unix_s <= now_unix_s)
            .map(|(impu, _)| impu.clone())
            .collect();
        expired
            .iter()
            .filter_map(|impu| self.by_impu.remove(impu))
            .collect()
    }
}

fn key(impu: &Uri) -> String {
    impu.identity().to_string()
}
