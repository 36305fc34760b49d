//! Telling members: xcap-diff NOTIFY and GMK MESSAGE (TS 24.481 6.3.13, TS 33.180 5.7).
//!
//! One worker takes the jobs in order. A replaced key is told to be revoked only after its successor
//! has come into use everywhere, so that nothing of a talk burst is lost; after a removal, as soon as
//! the successor was brought to all who answer. A revocation that is due survives a restart. Within a
//! job every subscriber is served on its own, and one that does not answer is passed over after the
//! configured time.

mod key_message;
mod ledger;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use mc_ids::GmkId;
use mc_runtime::sip::SipEndpoint;
use mc_sip::{Method, Peer, Request, StatusCode, Uri};
use mc_trace::{Event, names};
use mc_xml::xcap_diff::{DocumentChange, XcapDiff};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::access::{View, view};
use crate::address::{Address, Usage};
use crate::group_key::GroupKey;
use crate::groups::{Group, MemberChange, is_protected};
use crate::message;
use crate::partners::is_shared_with_gateway;
use crate::state::Gms;
use crate::store::Subscription;
use key_message::KeyMessage;
use ledger::{Ledger, Told};

/// Something members are to be told.
#[derive(Debug)]
pub enum Job {
    /// A subscription was made: tell its state and bring the keys.
    Subscribed(String),
    /// The server has been started again; these subscriptions were there before.
    Restarted(Vec<String>),
    /// A document changed.
    Changed {
        /// The group.
        group_id: String,
        /// Its tag before; `None` when it is new.
        previous_etag: Option<String>,
        /// Its tag now; `None` when it is gone.
        new_etag: Option<String>,
        /// Who came and who left.
        members: MemberChange,
    },
    /// A group has a new key.
    Rekeyed {
        /// The group.
        group_id: String,
        /// The key it had before.
        replaced: Option<GmkId>,
    },
    /// A replaced key must not be used any more.
    Revoked {
        /// The group.
        group_id: String,
        /// The key.
        key: GroupKey,
    },
    /// The certificate of a KMS came that a group's members depend on: its key goes to whom it
    /// could not be brought, and to whom was told otherwise about gateways.
    Learned {
        /// The group.
        group_id: String,
    },
}

/// Works until the queue ends.
pub async fn work(gms: Gms, endpoint: SipEndpoint, mut jobs: mpsc::UnboundedReceiver<Job>) {
    let ledger = Arc::default();
    let courier = Courier {
        gms,
        endpoint,
        ledger,
    };
    while let Some(job) = jobs.recv().await {
        if let Err(error) = courier.run(job).await {
            tracing::warn!(%error, "members not told");
        }
    }
}

#[derive(Clone)]
struct Courier {
    gms: Gms,
    endpoint: SipEndpoint,
    ledger: Arc<Ledger>,
}

impl Courier {
    async fn run(&self, job: Job) -> anyhow::Result<()> {
        let now_ms = self.gms.clock.unix_ms();
        let mut subscriptions = self.gms.store.subscriptions(now_ms).await?;
        self.ledger.keep(&subscriptions);
        let mut tasks = JoinSet::new();
        match job {
            Job::Subscribed(id) => {
                subscriptions.retain(|subscription| subscription.id == id);
                for subscription in subscriptions {
                    let courier = self.clone();
                    tasks.spawn(async move { courier.welcome(&subscription).await });
                }
            }
            Job::Restarted(known) => {
                subscriptions.retain(|subscription| known.contains(&subscription.id));
                for of_one in by_address(subscriptions) {
                    let courier = self.clone();
                    tasks.spawn(async move { courier.catch_up(&of_one).await });
                }
            }
            Job::Changed {
                group_id,
                previous_etag,
                new_etag,
                members,
            } => {
                let change = Arc::new((group_id, previous_etag, new_etag, members));
                for subscription in subscriptions {
                    let (courier, change) = (self.clone(), change.clone());
                    tasks.spawn(async move {
                        let (group_id, previous, new, members) = &*change;
                        let tags = (previous.as_deref(), new.as_deref());
                        courier
                            .notify_change(&subscription, group_id, tags, members)
                            .await
                    });
                }
            }
            Job::Rekeyed { group_id, replaced } => {
                let Some(group) = self.gms.group(&group_id).await? else {
                    return Ok(());
                };
                let subscriptions = one_per_impu(subscriptions, &group_id);
                let made = match self.gms.group_key(&group_id).await {
                    Ok(key) => {
                        (self.gms)
                            .key_messages(&group, &key, &subscriptions, false)
                            .await
                    }
                    // Each task meets the error and reports it.
                    Err(_) => Vec::new(),
                };
                let mut made = made.into_iter();
                for subscription in subscriptions {
                    let (courier, group) = (self.clone(), group.clone());
                    let replaced = replaced.map(|id| id.to_string());
                    let made = made.next().flatten();
                    tasks.spawn(async move {
                        courier
                            .bring_new_key(&subscription, &group, replaced, made)
                            .await
                    });
                }
            }
            Job::Revoked { group_id, key } => {
                if let Some(group) = self.gms.group(&group_id).await? {
                    let subscriptions = one_per_impu(subscriptions, &group_id);
                    let made = (self.gms)
                        .key_messages(&group, &key, &subscriptions, true)
                        .await;
                    for (subscription, made) in subscriptions.into_iter().zip(made) {
                        let (courier, group, key) = (self.clone(), group.clone(), key.clone());
                        tasks.spawn(async move {
                            courier.revoke(&subscription, &group, &key, made).await
                        });
                    }
                }
                self.finish(tasks).await;
                // Only now: a server that dies before tells them again.
                self.gms.store.revocation_told(key.id.key_id().0).await?;
                return Ok(());
            }
            Job::Learned { group_id } => {
                let Some(group) = self.gms.group(&group_id).await? else {
                    return Ok(());
                };
                for subscription in one_per_impu(subscriptions, &group_id) {
                    let (courier, group) = (self.clone(), group.clone());
                    tasks.spawn(async move { courier.bring_missing(&subscription, &group).await });
                }
            }
        }
        self.finish(tasks).await;
        Ok(())
    }

    /// Waits for the subscribers' tasks; one that takes too long is given up.
    async fn finish(&self, mut tasks: JoinSet<anyhow::Result<()>>) {
        let limit = Duration::from_secs(self.gms.config.delivery_timeout_s);
        let all = async {
            while let Some(done) = tasks.join_next().await {
                match done {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::warn!(%error, "a member was not told"),
                    Err(error) => tracing::error!(%error, "telling a member failed"),
                }
            }
        };
        if tokio::time::timeout(limit, all).await.is_err() {
            tracing::warn!("members that do not answer were passed over");
        }
    }

    /// First NOTIFY of a subscription, then the keys of its protected groups.
    async fn welcome(&self, subscription: &Subscription) -> anyhow::Result<()> {
        for group in self.tell_state(subscription).await?.values() {
            self.bring_key(subscription, group, None).await?;
        }
        Ok(())
    }

    /// Tells one address what became of all its subscriptions, and brings each key once.
    async fn catch_up(&self, subscriptions: &[Subscription]) -> anyhow::Result<()> {
        for subscription in subscriptions {
            let groups = match self.tell_state(subscription).await {
                Ok(groups) => groups,
                Err(error) => {
                    // A client that has subscribed anew does not know its old subscriptions.
                    tracing::info!(%error, "a subscriber of before was not told");
                    continue;
                }
            };
            for (group_id, group) in &groups {
                let told = self.ledger.last(subscription, group_id).flatten();
                if told.is_none() {
                    self.bring_key(subscription, group, None).await?;
                }
            }
        }
        Ok(())
    }

    /// Says in a NOTIFY which version each document has; returns the groups they are of.
    async fn tell_state(
        &self,
        subscription: &Subscription,
    ) -> anyhow::Result<BTreeMap<String, Group>> {
        //= TS 24.481 6.3.13.3
        let mut changes = Vec::new();
        let mut groups = BTreeMap::new();
        for sel in &subscription.selectors {
            let Ok(Address::Document {
                usage, group_id, ..
            }) = Address::parse(sel)
            else {
                continue;
            };
            let Some(group) = self.gms.group(&group_id).await? else {
                continue;
            };
            let new_etag = match usage {
                Usage::Group => Some(group.etag.clone()),
                Usage::Gktp => self.key_tag(&group_id, &group).await?,
            };
            changes.push(DocumentChange {
                sel: sel.clone(),
                new_etag,
                previous_etag: None,
            });
            groups.insert(group_id, group);
        }
        self.notify(subscription, changes).await?;
        Ok(groups)
    }

    async fn key_tag(&self, group_id: &str, group: &Group) -> anyhow::Result<Option<String>> {
        if !is_protected(&group.document) {
            return Ok(None);
        }
        let key = self.gms.group_key(group_id).await?;
        Ok(Some(key.id.to_string()))
    }

    /// Tells one subscriber of a changed document. Who left sees it disappear, and nothing after.
    async fn notify_change(
        &self,
        subscription: &Subscription,
        group_id: &str,
        (previous, new): (Option<&str>, Option<&str>),
        members: &MemberChange,
    ) -> anyhow::Result<()> {
        let group = self.gms.group(group_id).await?;
        let user = &subscription.mcptt_id;
        let reads = match &group {
            Some(group) => self.gms.may_watch(&user.parse()?, group),
            None => false,
        };
        if group.is_some() && !reads && !members.left.contains(user) {
            return Ok(());
        }
        let text = |tag: Option<&str>| tag.map(str::to_owned);
        let changes: Vec<_> = selectors_of(subscription, group_id, Usage::Group)
            .map(|sel| DocumentChange {
                sel: sel.to_owned(),
                new_etag: text(new.filter(|_| reads)),
                previous_etag: text(previous.filter(|_| !members.joined.contains(user))),
            })
            .collect();
        if changes.is_empty() {
            return Ok(());
        }
        self.notify(subscription, changes).await?;
        match group {
            // Who just became a member has no key yet.
            Some(group) if members.joined.contains(user) => {
                self.bring_key(subscription, &group, None).await
            }
            Some(_) | None => Ok(()),
        }
    }

    async fn bring_new_key(
        &self,
        subscription: &Subscription,
        group: &Group,
        replaced: Option<String>,
        made: Option<KeyMessage>,
    ) -> anyhow::Result<()> {
        if group.document.member(&subscription.mcptt_id).is_none() {
            return Ok(());
        }
        let selectors = selectors_of(subscription, group.document.uri(), Usage::Gktp);
        let new_etag = self.key_tag(group.document.uri(), group).await?;
        let changes: Vec<_> = selectors
            .map(|sel| DocumentChange {
                sel: sel.to_owned(),
                new_etag: new_etag.clone(),
                previous_etag: replaced.clone(),
            })
            .collect();
        if !changes.is_empty() {
            self.notify(subscription, changes).await?;
        }
        self.bring_key(subscription, group, made).await
    }

    async fn revoke(
        &self,
        subscription: &Subscription,
        group: &Group,
        key: &GroupKey,
        made: Option<KeyMessage>,
    ) -> anyhow::Result<()> {
        let member = group.document.member(&subscription.mcptt_id).is_some();
        if !member {
            return Ok(());
        }
        self.deliver(subscription, group, key, true, made).await
    }

    /// Brings the group's key, if the subscriber is a member and the group protected: in the message
    /// that was made with those of others, if that is still the key.
    async fn bring_key(
        &self,
        subscription: &Subscription,
        group: &Group,
        made: Option<KeyMessage>,
    ) -> anyhow::Result<()> {
        let member = group.document.member(&subscription.mcptt_id).is_some();
        if !member || !is_protected(&group.document) {
            return Ok(());
        }
        let key = self.gms.group_key(group.document.uri()).await?;
        let made = made.filter(|made| made.gmk_id == key.id);
        self.deliver(subscription, group, &key, false, made).await
    }

    /// Brings the group's key unless its member has been told the same, or is about to be.
    async fn bring_missing(
        &self,
        subscription: &Subscription,
        group: &Group,
    ) -> anyhow::Result<()> {
        let Some(ring) = self
            .gms
            .keys
            .now()
            .filter(|_| is_protected(&group.document))
        else {
            return Ok(());
        };
        let group_id = group.document.uri();
        let last = self.ledger.last(subscription, group_id);
        if last.is_none() && self.gms.with_dialog(&subscription.id, |_| ()).is_some() {
            // The subscription is new: the job that brings its first key waits.
            return Ok(());
        }
        let key = self.gms.group_key(group_id).await?;
        let now = Told {
            gmk_id: key.id,
            shared_with_gateway: is_shared_with_gateway(&self.gms, &ring, &group.document),
        };
        if last == Some(Some(now)) {
            return Ok(());
        }
        self.bring_key(subscription, group, None).await
    }

    async fn deliver(
        &self,
        subscription: &Subscription,
        group: &Group,
        key: &GroupKey,
        revoked: bool,
        made: Option<KeyMessage>,
    ) -> anyhow::Result<()> {
        let outcome = self.send_key(subscription, group, key, revoked, made).await;
        if !revoked {
            let told = outcome.as_ref().ok().copied();
            self.ledger.put(subscription, group.document.uri(), told);
        }
        outcome.map(|_| ())
    }

    async fn send_key(
        &self,
        subscription: &Subscription,
        group: &Group,
        key: &GroupKey,
        revoked: bool,
        made: Option<KeyMessage>,
    ) -> anyhow::Result<Told> {
        //= TS 33.180 5.7
        let member = &subscription.mcptt_id;
        let message = match made {
            Some(made) => made,
            None => self.gms.key_message(group, key, member, revoked).await?,
        };
        let octets = message.octets;
        let gms = self.gms.config.uri.as_str();
        let mut rng = mc_runtime::rng();
        let request = message::key_delivery(gms, &subscription.impu, member, octets, &mut rng)?;
        let status = self.send(request, &subscription.impu, None).await?;
        anyhow::ensure!(status.is_success(), "GMK delivery answered with {status}");
        let (group_id, id) = (group.document.uri(), key.id);
        tracing::info!(group = group_id, gmk_id = %id, revoked, "group key delivered");
        let text = format!("GMK {id} of {group_id} delivered");
        let event = Event::local(&names::GMS_GMK_DELIVERED, text);
        self.gms.tracer.emit(event.key(id.key_id().0));
        let detail = format!("{id} {}", if revoked { "revoked" } else { "in use" });
        self.gms
            .audit("gmk_delivered", Some(member), Some(group_id), &detail)
            .await;
        Ok(Told {
            gmk_id: id,
            shared_with_gateway: message.shared_with_gateway,
        })
    }

    async fn notify(
        &self,
        subscription: &Subscription,
        documents: Vec<DocumentChange>,
    ) -> anyhow::Result<()> {
        let id = &subscription.id;
        let bare = |dialog: &mut mc_sip::Dialog| {
            (dialog.request(Method::Notify), dialog.next_hop().clone())
        };
        // One of before dialogs were stored has none; its client subscribes anew.
        let Some((request, next_hop)) = self.gms.with_dialog(id, bare) else {
            return Ok(());
        };
        let diff = XcapDiff {
            xcap_root: self.gms.config.xcap_root.clone(),
            documents,
        };
        let left_ms = subscription
            .expires_ms
            .saturating_sub(self.gms.clock.unix_ms());
        let left_s = u64::try_from(left_ms).unwrap_or_default().div_ceil(1000);
        let request = message::notification(request, &diff, left_s);
        let impu = &subscription.impu;
        let status = self.send(request, impu, Some(next_hop)).await?;
        if status == StatusCode::CALL_DOES_NOT_EXIST {
            self.gms.remove_dialog(id);
            self.gms.store.delete_subscription(id).await?;
        }
        anyhow::ensure!(status.is_success(), "NOTIFY answered with {status}");
        Ok(())
    }

    /// Sends over the route of a dialog, else over that of the subscriber's domain, else to the
    /// outbound proxy, else to the request's URI.
    async fn send(
        &self,
        request: Request,
        impu: &str,
        next_hop: Option<Uri>,
    ) -> anyhow::Result<StatusCode> {
        let routed = next_hop.filter(|hop| *hop != request.uri);
        let config = &self.gms.config;
        let of_domain = config.routes.get(mc_ids::domain_of(impu));
        let hop = of_domain.or(config.outbound_proxy.as_ref());
        let hop: Option<Uri> = hop.map(|hop| hop.parse()).transpose()?;
        let hop = routed.or(hop).unwrap_or_else(|| request.uri.clone());
        let peer: Peer = SipEndpoint::resolve(&hop)
            .await
            .with_context(|| hop.to_string())?;
        let mut responses = self.endpoint.request(request, peer);
        Ok(responses.final_response().await?.status)
    }
}

impl Gms {
    /// Whether a user may be told of a group's changes.
    pub(crate) fn may_watch(&self, user: &mc_ids::McServiceId, group: &Group) -> bool {
        view(&self.config, user, &group.document) != View::Denied
    }
}

fn selectors_of<'a>(
    subscription: &'a Subscription,
    group_id: &'a str,
    wanted: Usage,
) -> impl Iterator<Item = &'a str> {
    subscription.selectors.iter().map(String::as_str).filter(move |sel| {
        matches!(
            Address::parse(sel),
            Ok(Address::Document { usage, group_id: id, .. }) if usage == wanted && id == group_id
        )
    })
}

/// The subscriptions of each address.
fn by_address(subscriptions: Vec<Subscription>) -> Vec<Vec<Subscription>> {
    let mut by_address = BTreeMap::<_, Vec<_>>::new();
    for subscription in subscriptions {
        let address = (subscription.impu.clone(), subscription.mcptt_id.clone());
        by_address.entry(address).or_default().push(subscription);
    }
    by_address.into_values().collect()
}

/// The subscriptions that name a group, one for each address: a client that subscribed twice
/// gets each key once.
fn one_per_impu(subscriptions: Vec<Subscription>, group_id: &str) -> Vec<Subscription> {
    let mut by_impu = BTreeMap::new();
    for subscription in subscriptions {
        let named = [Usage::Group, Usage::Gktp].into_iter().any(|usage| {
            selectors_of(&subscription, group_id, usage)
                .next()
                .is_some()
        });
        if named {
            let address = (subscription.impu.clone(), subscription.mcptt_id.clone());
            by_impu.insert(address, subscription);
        }
    }
    by_impu.into_values().collect()
}
