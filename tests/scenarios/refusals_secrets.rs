//! What a lab that exports no keys must not write into its traces and logs.

use lab::topology::Domain;
use mc_trace::{Event, Interface, Protocol};

use crate::peer::Peer;
use crate::support::{GROUP, a_call_works, events, ready, start_with, until_traced};

/// Values of a field in the form and query notation, wherever it stands in the text.
fn values_of<'a>(text: &'a str, field: &str) -> Vec<&'a str> {
    let is_end = |c: char| matches!(c, '&' | ' ' | '\r' | '\n' | '"');
    let start = format!("{field}=");
    let parts = text.split(&start).skip(1);
    parts
        .map(|rest| rest.split(is_end).next().unwrap_or_default())
        .collect()
}

fn is_masked(value: &str) -> bool {
    value.chars().all(|c| c == '*')
}

/// Everything one event shows of its message.
fn shown(event: &Event) -> String {
    let raw = String::from_utf8_lossy(&event.raw);
    let clear = String::from_utf8_lossy(&event.clear);
    format!("{raw}\n{clear}\n{}\n{}", event.summary, event.decoded)
}

#[tokio::test]
async fn traces_and_logs_hold_no_password_code_verifier_token_or_key() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start_with(&dir, &[Domain::Primary], false).await;
    let (alice, bob) = (ready(&lab, "alice").await, ready(&lab, "bob").await);
    a_call_works(&lab, &alice, &bob).await;
    let carol = Peer::affiliated(&lab, "carol", &[]).await;
    let refused = carol.ask(carol.invite(GROUP)).await;
    assert_eq!(refused.status, 403);
    let issued = |event: &Event| event.name == "idms:token_issued";
    // alice, bob, carol, the GMS and the MCPTT server.
    until_traced(&lab, "tokens", 5, issued).await;
    alice.stop().await;
    bob.stop().await;

    let password = lab.state().password().unwrap();
    let events = events(&lab);
    for interface in [Interface::CSC_1, Interface::CSC_2, Interface::CSC_8] {
        let http = |e: &&Event| e.interface == interface && e.protocol == Protocol::Http;
        assert!(events.iter().filter(http).count() > 4, "{interface}");
    }
    for event in &events {
        let text = shown(event);
        assert!(!text.contains(&password), "password: {text}");
        assert!(!text.contains(carol.token()), "token: {text}");
        for field in ["password", "code", "code_verifier", "refresh_token"] {
            let values = values_of(&text, field);
            let open: Vec<_> = values
                .into_iter()
                .filter(|value| !is_masked(value))
                .collect();
            assert!(open.is_empty(), "{field} {open:?}: {text}");
        }
        for word in text.split(|c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c)) {
            let is_token = word.starts_with("eyJ") && word.matches('.').count() == 2;
            assert!(!is_token, "a token: {text}");
        }
        for element in ["UserDecryptKey", "UserSigningKeySSK"] {
            let start = format!("<{element}");
            let keys = text.split(&start).skip(1);
            let keys = keys.filter_map(|rest| rest.split_once('>')?.1.split('<').next());
            assert!(keys.into_iter().all(is_masked), "{element}: {text}");
        }
    }
    assert!(!lab.state().file("logs", "keys.jsonl").exists());
    for service in lab.setup().services() {
        let log = std::fs::read(lab.state().log(service.name)).unwrap();
        let log = String::from_utf8_lossy(&log);
        assert!(
            !log.contains(&password) && !log.contains("eyJ"),
            "{}",
            service.name
        );
    }
}
