//! Which key a call's speech is sent and received under (TS 33.180 7.4).

use std::convert::Infallible;
use std::sync::PoisonError;

use mc_ids::{GroupId, KeyId};
use mc_media::{Layout, MasterKey, Mki, RocTransport, SsrcLease, SsrcLedger};
use mc_trace::KeyLogEntry;
use mikey::{CryptoSession, MediaKeys, media_keys};

use crate::call::Shared;
use crate::group_keys::own_guk_id;
use crate::private_call_key::PrivateCallKey;

/// The keys of a call's speech.
#[derive(Debug, Clone)]
pub(crate) enum SpeechKeys {
    /// The GMKs of a group, each burst under the one that is current then.
    Group(GroupId),
    /// The PCK of a private call.
    Private(PrivateCallKey),
}

/// What a stream of ours is sent under.
#[derive(Debug)]
pub(super) struct SendKey {
    /// Names the key in every packet.
    pub(super) mki: Mki,
    /// How receivers learn the ROC.
    pub(super) roc: RocTransport,
    session: CryptoSession,
    csb_id: KeyId,
    keys: MediaKeys,
}

impl SendKey {
    pub(super) fn master(&self) -> MasterKey {
        MasterKey::from(&self.keys)
    }

    /// Lab switch: the derived key for the key log.
    pub(super) fn log_entry(&self) -> KeyLogEntry {
        let mki = match self.mki {
            Mki::Key(id) => id.to_be_bytes().to_vec(),
            Mki::Group { gmk_id, guk_id } => [gmk_id.to_be_bytes(), guk_id.to_be_bytes()].concat(),
        };
        let (key, salt) = (&self.keys.master_key, &self.keys.master_salt);
        KeyLogEntry::srtp(self.csb_id.0, self.session as u8, key, salt, &mki)
    }
}

impl SpeechKeys {
    /// What follows the authentication tag of the call's packets.
    pub(super) const fn layout(&self) -> Layout {
        match self {
            Self::Group(_) => Layout::GROUP,
            Self::Private(_) => Layout::PRIVATE,
        }
    }

    /// The key to send under now; none when the group has no usable GMK.
    pub(super) fn sending(&self, shared: &Shared) -> Option<SendKey> {
        match self {
            //= TS 33.180 7.4.2
            Self::Group(group) => {
                let keys = shared.keys.read().unwrap_or_else(PoisonError::into_inner);
                let key = keys.current(group, shared.clock.unix())?;
                let guk_id = own_guk_id(key, &shared.mcptt_id).key_id();
                let session = CryptoSession::GroupCall;
                Some(SendKey {
                    mki: Mki::Group {
                        gmk_id: key.gmk_id.key_id().0,
                        guk_id: guk_id.0,
                    },
                    roc: RocTransport::InPacket,
                    session,
                    csb_id: guk_id,
                    keys: media_keys(&key.gmk, session, guk_id, &key.rand),
                })
            }
            //= TS 33.180 7.4.1
            Self::Private(key) => Some(SendKey {
                mki: key.mki(),
                roc: RocTransport::Estimated,
                session: key.sending(),
                csb_id: key.id().key_id(),
                keys: key.media_keys(key.sending()),
            }),
        }
    }

    /// Whether a stream under this key may go on: a group may have a newer key in use.
    pub(super) fn is_current(&self, shared: &Shared, mki: Mki) -> bool {
        match (self, mki) {
            (Self::Group(group), Mki::Group { gmk_id, .. }) => {
                let keys = shared.keys.read().unwrap_or_else(PoisonError::into_inner);
                let current = keys.current(group, shared.clock.unix());
                current.is_some_and(|key| key.gmk_id.key_id().0 == gmk_id)
            }
            (Self::Private(key), mki) => mki == key.mki(),
            (Self::Group(_), Mki::Key(_)) => false,
        }
    }

    /// The key of a received packet.
    pub(super) fn receiving(&self, shared: &Shared, mki: Mki) -> Option<MasterKey> {
        match self {
            Self::Group(group) => shared
                .keys
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .master_key(mki, group),
            Self::Private(key) => {
                (mki == key.mki()).then(|| MasterKey::from(&key.media_keys(key.receiving())))
            }
        }
    }

    /// Whether a received packet's key is still to be used: the receiver keeps the keys it once got.
    pub(super) fn opens(&self, shared: &Shared, mki: Mki) -> bool {
        match self {
            Self::Group(group) => shared
                .keys
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .opens(mki, group),
            Self::Private(key) => mki == key.mki(),
        }
    }

    /// Permission to send a stream. A PCK ends with its call, so nothing of it has to be stored.
    pub(super) fn lease(&self, shared: &Shared, mki: Mki) -> Result<SsrcLease, String> {
        match self {
            Self::Group(_) => {
                let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
                state.lease(mki, &[]).map_err(|error| error.to_string())
            }
            Self::Private(_) => SsrcLedger::default()
                .lease(
                    mki,
                    &[],
                    &mut mc_runtime::rng(),
                    |_| Ok::<_, Infallible>(()),
                )
                .map_err(|error| error.to_string()),
        }
    }
}
