//! What each resource answers.

use std::collections::BTreeSet;

use axum::http::header;
use kms_protocol::{CertCache, KmsInit, KmsKeyProv, KmsMessage, KmsRequest, Resource};
use mc_ids::NtpTime;
use mc_runtime::auth::VerifiedToken;

use super::Call;
use super::check::{Expected, check};
use crate::error::Refusal;
use crate::issue::{current_periods, requested_period};

impl Call {
    pub(super) async fn answer(
        &self,
        token: &VerifiedToken,
        request: &KmsRequest,
    ) -> Result<(Resource, Option<KmsMessage>), Refusal> {
        let resource = self.resource().map_err(|_| Refusal::UnknownResource)?;
        let config = self.kms.config();
        let identities = self.kms.identities(token);
        let host = self
            .headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        let authority = self
            .uri
            .authority()
            .map(axum::http::uri::Authority::as_str)
            .or(host);
        check(
            request,
            &Expected {
                identities: &identities,
                kms_uri: config.kms_uri.as_str(),
                now: self.kms.now(),
                max_age_s: config.profile.request_age_s,
                resource: &resource,
                authority: authority.filter(|_| config.profile.check_request_host),
            },
        )?;
        let message = match &resource {
            //= TS 33.180 D.2.3
            Resource::Init => Some(self.init()),
            //= TS 33.180 D.2.4
            Resource::KeyProv { user, time } => {
                Some(self.key_prov(identities, user.as_deref(), *time).await?)
            }
            //= TS 33.180 D.2.5
            Resource::CertCache { held } => {
                Some(KmsMessage::CertCache(self.kms.cert_cache(*held).await?))
            }
            //= TS 33.180 D.2.6
            Resource::Cert { kms_uri } => Some(self.cert(kms_uri).await?),
            Resource::Lookup { .. } => return Err(Refusal::UnknownResource),
            // Acknowledged and audited; what to do with it is an operator's decision.
            Resource::Redirect => None,
        };
        Ok((resource, message))
    }

    fn init(&self) -> KmsMessage {
        let certificate = self.kms.certificate().clone();
        KmsMessage::Init(Box::new(KmsInit { certificate }))
    }

    async fn key_prov(
        &self,
        identities: BTreeSet<String>,
        user: Option<&str>,
        time: Option<NtpTime>,
    ) -> Result<KmsMessage, Refusal> {
        let wanted = match user {
            None => identities,
            Some(user) if identities.contains(user) => BTreeSet::from([user.to_owned()]),
            Some(_) => return Err(Refusal::ForeignIdentity),
        };
        let (period, now) = (self.kms.period(), self.kms.clock().ntp());
        let periods = match time {
            None => current_periods(period, now),
            Some(time) => {
                vec![requested_period(period, now, time).ok_or(Refusal::NoSuchPeriod)?]
            }
        };
        let mut key_sets = Vec::new();
        for identity in &wanted {
            for number in &periods {
                key_sets.push(self.kms.key_set(identity, *number).await?);
            }
        }
        Ok(KmsMessage::KeyProv(KmsKeyProv { key_sets }))
    }

    async fn cert(&self, kms_uri: &str) -> Result<KmsMessage, Refusal> {
        let cache = self.kms.cert_cache(None).await?;
        let own = std::iter::once(self.kms.certificate().clone());
        let certificates: Vec<_> = own
            .chain(cache.certificates)
            .filter(|c| c.kms_uri.as_str() == kms_uri)
            .collect();
        if certificates.is_empty() {
            return Err(Refusal::UnknownKms);
        }
        let cache_num = cache.cache_num;
        Ok(KmsMessage::CertCache(CertCache {
            cache_num,
            certificates,
        }))
    }
}
