//! A user of one domain whom another domain's MC system serves (TR 33.880 7.8.3): that system wants an
//! access token for itself, which the user gets for one of his own domain (TS 33.180 5.1.4).

use lab::operator::Operator;
use lab::parties::{Party, client_config, interconnection_config, partner_config};
use lab::supervisor::Lab;
use lab::topology::Domain::{Gateway, Primary};
use mc_client::{Attachment, AuthorisationConfig, ClientEvent, Interconnection, Step, StepFailure};
use mc_runtime::Tracer;
use mc_runtime::auth::{SCOPE_GMS, SCOPE_MCPTT, VerifierConfig};

use crate::support::{GROUP, PATIENCE, start_domains, until};

const UNIT: &str = "unit-1001";
const SERVER: &str = "sip:mcptt@segy.example";

type Change = fn(&mut AuthorisationConfig);

/// The function that serves the user, with tokens of the gateway's domain.
async fn function(lab: &Lab, change: Change) -> Interconnection {
    let issuer = format!("https://{}", lab.addresses().of(Gateway.idms()));
    let jwks = format!("{issuer}/idms/jwks.json");
    let mut authorisation = AuthorisationConfig {
        tokens: VerifierConfig {
            audiences: vec![SERVER.to_owned()],
            require_audience: true,
            ..VerifierConfig::new(issuer, jwks)
        },
        exchange: Some(partner_config(lab, Gateway, &[SCOPE_MCPTT])),
    };
    change(&mut authorisation);
    let mut config = interconnection_config(lab).unwrap();
    config.authorisation = Some(authorisation);
    Interconnection::open(config, Tracer::off()).await.unwrap()
}

async fn user(lab: &Lab, at: &Interconnection) -> Party {
    let mut config = client_config(lab, UNIT, &[GROUP]).unwrap();
    config.sip = None;
    let attachment = Attachment::Interconnected(at.clone());
    Party::start_at(lab, attachment, config).await.unwrap()
}

/// What keeps a user from being served.
async fn not_served(party: &Party) -> StepFailure {
    until(&mut party.follow(), "refusal", |event| match event {
        ClientEvent::StepFailed(Step::S, failure) => Some(failure.clone()),
        ClientEvent::Interconnected { .. } => panic!("served"),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn a_migrated_user_is_served_with_a_token_of_the_domain_that_serves_him() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start_domains(&dir, &[Primary, Gateway]).await;

    // Nobody trusts anybody yet: the user's security token is worth nothing there.
    let at = function(&lab, |_| ()).await;
    let unit = user(&lab, &at).await;
    let failure = not_served(&unit).await;
    assert_eq!(failure.service, "idms", "{failure}");
    assert!(failure.detail.contains("invalid_grant"), "{failure}");

    // With trust he is, by the next attempt of his client.
    let operator = Operator::of(&lab).unwrap();
    operator.introduce(Primary, Gateway).await.unwrap();
    if let Err(steps) = unit.until_ready(PATIENCE).await {
        panic!("not served: {steps:#?}");
    }
    assert_eq!(at.users(), 1);
    unit.stop().await;
    assert_eq!(at.users(), 0);
    at.close().await;

    // A token of his own domain, one for another server, and one for another service are none.
    let own_domain = |a: &mut AuthorisationConfig| a.exchange = None;
    let other_server =
        |a: &mut AuthorisationConfig| a.tokens.audiences = vec!["sip:x@y".to_owned()];
    let other_service = |a: &mut AuthorisationConfig| {
        a.exchange.as_mut().unwrap().scopes = vec![SCOPE_GMS.to_owned()];
        a.tokens.audiences.clear();
    };
    let cases: [(Change, &str); 3] = [
        (own_domain, "unknown key"),
        (other_server, "audience"),
        (other_service, "lacks scope"),
    ];
    for (change, why) in cases {
        let at = function(&lab, change).await;
        let unit = user(&lab, &at).await;
        let failure = not_served(&unit).await;
        assert_eq!(failure.service, "mcptt-server", "{failure}");
        assert_eq!(failure.clause, "TS 24.379 7.3.2");
        assert!(failure.detail.contains(why), "{failure}");
        unit.stop().await;
        at.close().await;
    }
}
