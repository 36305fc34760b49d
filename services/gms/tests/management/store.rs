//! The store behaves the same on SQLite and PostgreSQL.

use gms::store::{ChangeError, Store, StoredGroup, StoredKey, Subscription};
use testkit::postgres::Postgres;

fn group(etag: &str) -> StoredGroup {
    StoredGroup {
        group_id: "sip:g@mc.example".into(),
        document: format!("<group>{etag}</group>"),
        etag: etag.into(),
    }
}

async fn groups_change_only_from_the_version_named(store: &Store) {
    let id = "sip:g@mc.example";
    store
        .put_group(&group("1"), &["a", "b"], None, 1)
        .await
        .unwrap();
    let again = store.put_group(&group("x"), &["z"], None, 1).await;
    assert!(matches!(again, Err(ChangeError::Conflict)));
    let stale = store.put_group(&group("x"), &["z"], Some("0"), 1).await;
    assert!(matches!(stale, Err(ChangeError::Conflict)));
    assert_eq!(store.group(id).await.unwrap(), Some(group("1")));
    assert_eq!(store.groups_of("a").await.unwrap(), [id]);
    store
        .put_group(&group("2"), &["b"], Some("1"), 2)
        .await
        .unwrap();
    assert_eq!(store.group(id).await.unwrap(), Some(group("2")));
    assert!(store.groups_of("a").await.unwrap().is_empty());
}

async fn a_new_key_revokes_the_earlier_ones(store: &Store) {
    let id = "sip:g@mc.example";
    let key = |gmk_id| StoredKey {
        gmk_id,
        sealed: vec![0, 255, 7],
        activation_s: 1_800_000_000,
    };
    store
        .replace_key(id, &key(0x0fff_ffff), 1, None)
        .await
        .unwrap();
    store.replace_key(id, &key(5), 2, Some(9)).await.unwrap();
    assert_eq!(store.active_keys(id).await.unwrap(), [key(5)]);
    let pending = store.pending_revocations().await.unwrap();
    let [told] = pending.as_slice() else { panic!() };
    assert_eq!((told.group_id.as_str(), &told.key), (id, &key(0x0fff_ffff)));
    assert_eq!(told.due_ms, 9);
    store.revocation_told(0x0fff_ffff).await.unwrap();
    assert!(store.pending_revocations().await.unwrap().is_empty());
    assert!(
        store.replace_key("other", &key(5), 3, None).await.is_err(),
        "identifiers are unique"
    );
    let stale = store.delete_group(id, "1", 3).await;
    assert!(matches!(stale, Err(ChangeError::Conflict)));
    assert_eq!(store.active_keys(id).await.unwrap(), [key(5)]);
    store.delete_group(id, "2", 3).await.unwrap();
    assert!(store.active_keys(id).await.unwrap().is_empty());
    assert!(store.groups_of("b").await.unwrap().is_empty());
}

async fn subscriptions_end(store: &Store) {
    let mut subscription = Subscription {
        id: "c;t".into(),
        mcptt_id: "sip:alice@mc.example".into(),
        impu: "sip:alice-impu@ims.mc.example".into(),
        selectors: vec!["a/\"b".into(), "c".into()],
        expires_ms: 10,
        dialog: "SUBSCRIBE".into(),
    };
    store.put_subscription(&subscription).await.unwrap();
    subscription.expires_ms = 20;
    subscription.dialog = "SUBSCRIBE later".into();
    store.put_subscription(&subscription).await.unwrap();
    assert_eq!(
        store.subscriptions(19).await.unwrap(),
        [subscription.clone()]
    );
    assert!(store.subscriptions(20).await.unwrap().is_empty());
    store.put_subscription(&subscription).await.unwrap();
    store.delete_subscription("c;t").await.unwrap();
    assert!(store.subscriptions(0).await.unwrap().is_empty());
}

async fn all(url: &str) {
    let store = Store::open(url).await.unwrap();
    groups_change_only_from_the_version_named(&store).await;
    a_new_key_revokes_the_earlier_ones(&store).await;
    subscriptions_end(&store).await;
    store.put_audit("e", None, Some("g"), "d", 1).await.unwrap();
    assert_eq!(store.audit_events().await.unwrap(), ["e"]);
}

#[tokio::test]
async fn sqlite() {
    let dir = tempfile::tempdir().unwrap();
    all(&format!(
        "sqlite://{}?mode=rwc",
        dir.path().join("gms.db").display()
    ))
    .await;
}

#[tokio::test]
async fn postgres() {
    let cluster = Postgres::start().unwrap();
    all(&cluster.url()).await;
}
