//! Functional aliases of an established client (TS 24.379 9A.2.1.2).

use std::sync::PoisonError;

use mc_sip::mcptt::EXPIRES_FOREVER;

use crate::client::established::{Established, described};
use crate::event::ClientEvent;

impl Established {
    /// Activates what is wanted after a registration.
    pub(super) async fn activate_aliases(&self) {
        let wanted = self.wanted_aliases();
        if !wanted.is_empty() {
            self.publish_aliases(wanted, EXPIRES_FOREVER).await;
        }
    }

    /// Has exactly these aliases active.
    pub(super) async fn set_aliases(&self, aliases: Vec<String>) {
        let before = self.wanted_aliases();
        if aliases.is_empty() {
            if self.publish_aliases(before, 0).await {
                self.want_aliases(aliases);
            }
        } else if self.publish_aliases(aliases.clone(), EXPIRES_FOREVER).await {
            self.want_aliases(aliases);
        }
    }

    fn wanted_aliases(&self) -> Vec<String> {
        self.aliases
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn want_aliases(&self, aliases: Vec<String>) {
        *self.aliases.lock().unwrap_or_else(PoisonError::into_inner) = aliases;
    }

    //= TS 24.379 9A.2.1.2
    async fn publish_aliases(&self, aliases: Vec<String>, expires_s: u32) -> bool {
        let request = self.make(|r| r.publish_aliases(&aliases, expires_s));
        let detail = match self.transact(request).await {
            Ok(response) if response.status.is_success() => {
                let aliases = if expires_s == 0 { Vec::new() } else { aliases };
                self.emit(ClientEvent::AliasesActive { aliases });
                return true;
            }
            Ok(response) => described(&response),
            Err(error) => error,
        };
        tracing::warn!(
            node = self.config.node,
            detail,
            "functional aliases refused"
        );
        self.emit(ClientEvent::AliasesRefused { aliases, detail });
        false
    }
}
