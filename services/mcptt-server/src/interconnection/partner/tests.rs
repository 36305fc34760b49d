use mc_sip::{Method, NameAddr, name};

use super::*;

const TABLE: &str = r#"
name = "partner.example"
address = "sip:192.0.2.9:5066;transport=tcp"
sources = ["192.0.2.10"]
psi = "sip:mcptt@partner.example"
domains = ["partner.example"]
users = ["sip:unit-*@mc.example"]
groups = ["sip:fire@mc.example"]
spk = { id = "3a7e0001", key = "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a", rand = "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b" }
"#;

fn table(change: &[(&str, &str)]) -> PartnerConfig {
    let text = change
        .iter()
        .fold(TABLE.to_owned(), |text, (from, to)| text.replace(from, to));
    toml::from_str(&text).unwrap()
}

async fn store(dir: &tempfile::TempDir) -> Store {
    let path = dir.path().join("store.db");
    let url = format!("sqlite://{}?mode=rwc", path.display());
    Store::open(&url).await.unwrap()
}

async fn partners(tables: &[PartnerConfig]) -> Result<Partners, ServerError> {
    let dir = tempfile::tempdir().unwrap();
    Partners::open(tables, &store(&dir).await, &Tracer::off()).await
}

fn user(id: &str) -> McServiceId {
    McServiceId::new(id).unwrap()
}

#[tokio::test]
async fn a_partner_serves_what_the_table_says_and_nobody_else() {
    let partners = partners(&[table(&[])]).await.unwrap();
    let partner = partners.iter().next().unwrap();
    for own in ["sip:unit-1001@mc.example", "sip:a@PARTNER.example"] {
        assert!(partner.serves(&user(own)), "{own}");
        assert!(partners.serving(&user(own)).is_some());
    }
    for other in [
        "sip:alice@mc.example",
        "sip:unit-1001@mc.example.partner",
        "sip:a@sub.partner.example",
        "sip:a@partner.example@mc.example",
    ] {
        assert!(!partner.serves(&user(other)), "{other}");
    }
    let group = |id| GroupId::new(id).unwrap();
    assert!(partner.may_use(&group("sip:fire@mc.example")));
    assert!(!partner.may_use(&group("sip:command@mc.example")));
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    assert!(partner.is_at(address("192.0.2.9")) && partner.is_at(address("192.0.2.10")));
    assert!(!partner.is_at(address("192.0.2.11")));
}

#[tokio::test]
async fn a_request_is_a_partners_by_the_function_it_asserts() {
    let partners = partners(&[table(&[])]).await.unwrap();
    let claims = |header: &str, identity: &str| {
        let own = NameAddr::new("sip:mcptt@partner.example".parse().unwrap());
        let to = "sip:mcptt-ctrl@mc.example".parse().unwrap();
        let request = Request::new(Method::Options, to, &own, &own, "c", 1);
        partners
            .claimed_by(&request.with(header, identity))
            .is_some()
    };
    let asserted = name::P_ASSERTED_IDENTITY;
    assert!(claims(asserted, "<sip:mcptt@partner.example>"));
    assert!(!claims(asserted, "<sip:mcptt@elsewhere.example>"));
    assert!(!claims(
        name::P_PREFERRED_IDENTITY,
        "<sip:mcptt@partner.example>"
    ));
}

#[tokio::test]
async fn partners_that_could_be_taken_for_each_other_are_refused() {
    let error = |tables: Vec<PartnerConfig>| async move {
        partners(&tables).await.unwrap_err().to_string()
    };
    let other_key = [("mcptt@partner", "mcptt@second")];
    let same_key = error(vec![table(&[]), table(&other_key)]).await;
    assert!(same_key.contains("3a7e0001"), "{same_key}");
    let same_function = error(vec![table(&[]), table(&[("3a7e", "3a7f")])]).await;
    assert!(
        same_function.contains("mcptt@partner.example"),
        "{same_function}"
    );
    let no_spk = error(vec![table(&[("3a7e", "2a7e")])]).await;
    assert!(no_spk.contains("spk.id"), "{no_spk}");
}

/// The SPK outlives the server, so an SSRC is kept before it is used and never used again.
#[tokio::test]
async fn ssrcs_under_the_spk_survive_the_server() {
    use crate::media_plane::SsrcStore as _;
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir).await;
    let association = SpkAssociation::new(&table(&[]).spk).unwrap();
    let id = association.id().key_id();
    assert_eq!(store.spk_ssrcs(id).await.unwrap(), "");
    store.keep(id, 7).await.unwrap();
    assert!(store.keep(id, 7).await.is_err(), "kept twice is used twice");
    let kept = store.spk_ssrcs(id).await.unwrap();
    assert_eq!(kept, "3a7e0001 00000007\n");
    assert!(SsrcLedger::read::<()>(&kept).is_ok());
}
