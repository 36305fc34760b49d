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
    ) -> Result<Option<KmsMessage>, Refusal> {
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
        self.kms.admit(&request.user_uri).await?;
        Ok(match &resource {
            //= TS 33.180 D.2.3
            Resource::Init => Some(self.init()),
            //= TS 33.180 D.2.4
            Resource::KeyProv { user, time } => {
                let wanted = self.wanted(token, identities, user.as_deref()).await?;
                Some(self.key_prov(wanted, *time).await?)
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
        })
    }

    fn init(&self) -> KmsMessage {
        let certificate = self.kms.certificate().clone();
        KmsMessage::Init(Box::new(KmsInit { certificate }))
    }

    /// The identities whose keys are asked for: all of the requester's that may have any, or the
    /// one that is named.
    async fn wanted(
        &self,
        token: &VerifiedToken,
        identities: BTreeSet<String>,
        named: Option<&str>,
    ) -> Result<BTreeSet<String>, Refusal> {
        if let Some(named) = named {
            if !identities.contains(named) {
                self.kms.create_for(token, named).await?;
            }
            return Ok(BTreeSet::from([named.to_owned()]));
        }
        let mut admitted = BTreeSet::new();
        for identity in identities {
            match self.kms.admit(&identity).await {
                Ok(()) => {
                    admitted.insert(identity);
                }
                Err(refusal @ Refusal::Internal(_)) => return Err(refusal),
                Err(refusal) => tracing::info!(%refusal, "identity left out"),
            }
        }
        Ok(admitted)
    }

    async fn key_prov(
        &self,
        wanted: BTreeSet<String>,
        time: Option<NtpTime>,
    ) -> Result<KmsMessage, Refusal> {
        let (period, now) = (self.kms.period(), self.kms.clock().ntp());
        let periods = match time {
            None => current_periods(period, now),
            Some(time) => {
                vec![requested_period(period, now, time).ok_or(Refusal::NoSuchPeriod)?]
            }
        };
        let key_sets = self.kms.key_sets(&wanted, &periods).await?;
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
