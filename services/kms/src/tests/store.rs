//! The same store on both databases.

use testkit::postgres::Postgres;

use crate::store::{MasterRow, Store, StoredPartner};

const UNIT: &str = "sip:unit-1@mc.example";

async fn all(url: &str) {
    let store = Store::open(url).await.unwrap();
    let master = MasterRow {
        ksak: vec![1],
        z: vec![2],
        cert_uri: "cert1.kms.mc.example".to_owned(),
        valid_from_ms: 1,
        valid_to_ms: 2,
    };
    store.put_master(&master).await.unwrap();
    assert_eq!(store.master().await.unwrap(), Some(master));
    users(&store).await;
    partners(&store).await;
    // Opened again, as after a restart: migrations are not run twice.
    assert!(
        Store::open(url)
            .await
            .unwrap()
            .master()
            .await
            .unwrap()
            .is_some()
    );
}

async fn users(store: &Store) {
    assert!(store.put_user(UNIT, "segy", 10).await.unwrap());
    assert!(!store.put_user(UNIT, "other", 11).await.unwrap());
    assert_eq!(store.user_count("segy").await.unwrap(), 1);
    let row = ("uid-1", UNIT, 7);
    store.put_issued(row, vec![3], 12, false).await.unwrap();
    store.revoke_user(UNIT, 13).await.unwrap();
    assert!(store.is_revoked(UNIT).await.unwrap());
    assert_eq!(store.issued("uid-1").await.unwrap(), None);
    store.reinstate_user(UNIT).await.unwrap();
    let user = store.user(UNIT).await.unwrap().unwrap();
    assert_eq!((user.created_by.as_str(), user.revoked_ms), ("segy", None));
    // A user that was never made can be revoked too.
    store.revoke_user("sip:a@mc.example", 14).await.unwrap();
    assert_eq!(store.users().await.unwrap().len(), 2);
}

async fn partners(store: &Store) {
    let partner = |document: &str| StoredPartner {
        document: document.to_owned(),
        fingerprint: "f".to_owned(),
        imported_ms: 15,
    };
    let put = async |document: &str| {
        let partner = partner(document);
        let stored = store.put_external_certificate("kms.segy.example", &partner);
        stored.await.unwrap();
        store.external_certificates().await.unwrap()
    };
    assert_eq!(put("<a/>").await, (1, vec![partner("<a/>")]));
    assert_eq!(put("<a/>").await.0, 1, "the same is no new version");
    assert_eq!(put("<b/>").await, (2, vec![partner("<b/>")]));
}

#[tokio::test]
async fn sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("kms.db");
    all(&format!("sqlite://{}?mode=rwc", file.display())).await;
}

#[tokio::test]
async fn postgres() {
    let cluster = Postgres::start().unwrap();
    all(&cluster.url()).await;
}
