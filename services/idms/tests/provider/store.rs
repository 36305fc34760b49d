//! The store behaves the same on SQLite and PostgreSQL.

use idms::pkce::CodeChallenge;
use idms::scopes::Scopes;
use idms::store::{AuditEntry, RedeemedCode, Redemption, Store, User};
use idms::tokens::{Grant, ServiceIds};
use testkit::postgres::Postgres;

fn user(username: &str) -> User {
    User {
        sub: format!("sub-{username}"),
        username: username.into(),
        password_hash: "$argon2id$".into(),
        services: ServiceIds {
            mcptt_id: Some(format!("sip:{username}@mc.example")),
            ..ServiceIds::default()
        },
        scopes: Scopes::parse("3gpp:mc:ptt_service"),
        disabled: false,
    }
}

fn grant() -> Grant {
    Grant {
        sub: "sub-alice".into(),
        client_id: "mcptt_client".into(),
        scopes: Scopes::parse("openid 3gpp:mc:ptt_service"),
        nonce: None,
        acr: "3gpp:acr:password".into(),
        auth_time: 1_700_000_000,
    }
}

fn code(family: &str) -> RedeemedCode {
    RedeemedCode {
        family: family.into(),
        redirect_uri: "http://localhost/cb".into(),
        challenge: CodeChallenge::from_stored("challenge".into()),
        expires_ms: 2_000,
    }
}

async fn users_keep_their_sub(store: &Store) {
    store.put_user(&user("alice")).await.unwrap();
    let changed = User {
        sub: "another".into(),
        password_hash: "other".into(),
        scopes: Scopes::parse("3gpp:mc:data_service"),
        disabled: true,
        ..user("alice")
    };
    store.put_user(&changed).await.unwrap();
    let found = store.user_by_name("alice").await.unwrap().unwrap();
    assert_eq!(found.sub, "sub-alice");
    assert_eq!(found.password_hash, "$argon2id$");
    assert_eq!(found.scopes, changed.scopes);
    assert!(found.disabled);
    assert_eq!(found.services.mcvideo_id, None);
    assert_eq!(store.user_by_sub("sub-alice").await.unwrap(), Some(found));
    assert_eq!(store.user_by_name("nobody").await.unwrap(), None);
}

async fn a_code_is_redeemed_once(store: &Store) {
    store
        .put_code("code-1", &grant(), &code("family-1"), 5_000)
        .await
        .unwrap();
    let (first, second) = tokio::join!(store.redeem_code("code-1"), store.redeem_code("code-1"));
    let mut outcomes = [first.unwrap(), second.unwrap()];
    outcomes.sort_by_key(|outcome| matches!(outcome, Redemption::Again(_)));
    assert_eq!(
        outcomes,
        [
            Redemption::First(code("family-1")),
            Redemption::Again("family-1".into())
        ]
    );
    assert_eq!(
        store.redeem_code("code-2").await.unwrap(),
        Redemption::Unknown
    );
    assert_eq!(store.grant("family-1", 4_999).await.unwrap(), Some(grant()));
    assert_eq!(store.grant("family-1", 5_000).await.unwrap(), None);
}

async fn a_refresh_token_is_redeemed_once(store: &Store) {
    store
        .put_code("code-3", &grant(), &code("family-3"), 5_000)
        .await
        .unwrap();
    store
        .put_refresh_token("refresh-1", "family-3", 3_000)
        .await
        .unwrap();
    let redeem = |token: &'static str, now: i64| store.redeem_refresh_token(token, now);
    assert_eq!(
        redeem("refresh-1", 3_000).await.unwrap(),
        Redemption::Unknown,
        "expired"
    );
    assert_eq!(
        redeem("refresh-1", 1).await.unwrap(),
        Redemption::First("family-3".into())
    );
    assert_eq!(
        redeem("refresh-1", 2).await.unwrap(),
        Redemption::Again("family-3".into())
    );
    store.revoke_family("family-3").await.unwrap();
    assert_eq!(store.grant("family-3", 1).await.unwrap(), None);
}

async fn attempts_count_in_windows(store: &Store) {
    for expected in 1..=3 {
        assert_eq!(
            store.count_attempt("account:x", 1_000, 500).await.unwrap(),
            (expected, 1_500)
        );
    }
    store.forgive_attempt("account:x").await.unwrap();
    assert_eq!(
        store.count_attempt("account:x", 1_499, 500).await.unwrap(),
        (3, 1_500)
    );
    assert_eq!(
        store.count_attempt("account:x", 1_500, 500).await.unwrap(),
        (1, 2_000)
    );
}

async fn the_oldest_signing_key_wins(store: &Store) {
    assert_eq!(store.signing_key().await.unwrap(), None);
    store.put_signing_key("b", &[0, 255, 1], 20).await.unwrap();
    store.put_signing_key("a", &[9], 30).await.unwrap();
    assert_eq!(store.signing_key().await.unwrap(), Some(vec![0, 255, 1]));
}

async fn pruning_forgets_only_the_past(store: &Store) {
    let entry = AuditEntry {
        event: "login_accepted",
        ..AuditEntry::default()
    };
    store.put_audit(&entry, 1).await.unwrap();
    store.prune(2_001).await.unwrap();
    assert_eq!(
        store.redeem_code("code-1").await.unwrap(),
        Redemption::Unknown
    );
    assert!(store.refresh_family("refresh-1").await.unwrap().is_some());
    assert_eq!(store.audit_events().await.unwrap(), ["login_accepted"]);
}

async fn an_assertion_is_redeemed_once(store: &Store) {
    assert!(store.put_assertion("a", 1_000).await.unwrap());
    assert!(!store.put_assertion("a", 1_000).await.unwrap());
    store.prune(999).await.unwrap();
    assert!(!store.put_assertion("a", 1_000).await.unwrap());
    store.prune(1_001).await.unwrap();
    assert!(store.put_assertion("a", 1_000).await.unwrap());
}

async fn a_revocation_can_be_taken_back(store: &Store) {
    let id = "sip:unit-1@mc.example";
    store.revoke(id, 1).await.unwrap();
    store.revoke(id, 2).await.unwrap();
    assert!(store.is_revoked(id).await.unwrap());
    assert_eq!(store.revocations().await.unwrap(), [id]);
    store.reinstate(id).await.unwrap();
    assert!(!store.is_revoked(id).await.unwrap());
    store.put_user(&user("taken")).await.unwrap();
    let taken = "sip:taken@mc.example";
    assert!(store.is_taken(taken, "other").await.unwrap());
    assert!(!store.is_taken(taken, "taken").await.unwrap());
}

async fn all(url: &str) {
    let store = Store::open(url).await.unwrap();
    users_keep_their_sub(&store).await;
    a_code_is_redeemed_once(&store).await;
    a_refresh_token_is_redeemed_once(&store).await;
    attempts_count_in_windows(&store).await;
    the_oldest_signing_key_wins(&store).await;
    pruning_forgets_only_the_past(&store).await;
    an_assertion_is_redeemed_once(&store).await;
    a_revocation_can_be_taken_back(&store).await;
    // A second start finds the schema in place.
    Store::open(url).await.unwrap();
}

#[tokio::test]
async fn sqlite() {
    let dir = tempfile::tempdir().unwrap();
    all(&format!(
        "sqlite://{}?mode=rwc",
        dir.path().join("idms.db").display()
    ))
    .await;
}

#[tokio::test]
async fn postgres() {
    let cluster = Postgres::start().unwrap();
    all(&cluster.url()).await;
}
