//! Groups whose documents the GMS refuses: the client serves the others, tells which is refused and
//! why, and asks again from time to time, as membership may be granted later.

use std::time::{Duration, Instant};

use mc_ids::GroupId;

use crate::client::established::Established;
use crate::event::{ClientEvent, StepFailure};

/// Time between two questions for a document that was refused.
const RETRY: Duration = Duration::from_secs(5);

impl Established {
    /// The groups that are not refused.
    pub(super) fn admitted(&self) -> Vec<GroupId> {
        let groups = self.config.groups.iter();
        let admitted = groups.filter(|group| !self.refused.contains_key(*group));
        admitted.cloned().collect()
    }

    /// Fetches a group's document, or notes that it is refused.
    ///
    /// # Errors
    /// The GMS gave no answer that counts.
    pub(super) async fn learn(&mut self, group: &GroupId) -> Result<(), StepFailure> {
        match self.fetch_document(group).await {
            Ok(()) => {
                self.refused.remove(group);
                Ok(())
            }
            Err(not_fetched) if not_fetched.refused => {
                self.refuse_group(group, not_fetched.failure);
                Ok(())
            }
            Err(not_fetched) => Err(not_fetched.failure),
        }
    }

    fn refuse_group(&mut self, group: &GroupId, failure: StepFailure) {
        self.protection.remove(group);
        self.etags.remove(group);
        let told = self.refused.insert(group.clone(), failure.clone());
        if told.as_ref() != Some(&failure) {
            tracing::warn!(node = self.config.node, %group, %failure, "group refused");
            let group = group.clone();
            self.emit(ClientEvent::GroupRefused { group, failure });
        }
    }

    /// Why none of the groups can be used, if that is so.
    pub(super) fn all_refused(&self) -> Option<StepFailure> {
        let none = self.admitted().is_empty();
        self.refused.values().next().filter(|_| none).cloned()
    }

    /// Asks again for what was refused, and joins what is granted.
    pub(super) async fn ask_again(&mut self, now: Instant) {
        if self.refused.is_empty() || now.duration_since(self.refused_tried) < RETRY {
            return;
        }
        self.refused_tried = now;
        let refused: Vec<GroupId> = self.refused.keys().cloned().collect();
        for group in refused {
            if let Err(failure) = self.learn(&group).await {
                return tracing::debug!(%group, %failure, "refused group not asked for again");
            }
            if !self.refused.contains_key(&group) {
                tracing::info!(node = self.config.node, %group, "group granted");
                // The next look subscribes to all documents of that GMS.
                let home = self.config.home_of(&group).uri;
                self.subscriptions.remove(&home);
                if let Err(failure) = self.affiliate().await {
                    tracing::warn!(%failure, "affiliation not published");
                }
            }
        }
        self.check_ready();
    }
}
