//! What the IdMS tells the trace stream of a log-in, and what it must never tell.

use mc_runtime::trace::Tracer;
use mc_trace::Event;
use tokio::sync::mpsc::Receiver;

use crate::browser::{Browser, VERIFIER, authorization, exchange, refresh};
use crate::lab::{Lab, PASSWORD};

/// The event of each answer, and everything all events say.
fn told(mut events: Receiver<Event>) -> (Vec<String>, String) {
    let (mut answers, mut all) = (Vec::new(), String::new());
    while let Ok(event) = events.try_recv() {
        assert_eq!(event.interface, mc_trace::Interface::CSC_1, "{event:?}");
        assert!(event.correlation_id.is_some(), "{event:?}");
        if event.name != "http:request" {
            answers.push(event.name.clone());
        }
        let raw = String::from_utf8_lossy(&event.raw);
        all.push_str(&format!("{raw}{}{}", event.summary, event.decoded));
    }
    (answers, all)
}

#[tokio::test]
async fn a_log_in_is_told_step_by_step_without_its_secrets() {
    let (tracer, events) = Tracer::to_channel("idms", 256);
    let lab = Lab::start_traced(tracer.clone()).await;
    let browser = Browser::new(&lab);
    let ticket = browser.ticket(&authorization()).await;
    browser.post_login(&ticket, "alice", "hunter-guess").await;
    let code = browser.code().await;
    let (_, tokens) = browser.token(&exchange(&code)).await;
    let text = |name: &str| tokens[name].as_str().unwrap().to_owned();
    let (_, renewed) = browser.token(&refresh(&text("refresh_token"))).await;
    browser.token(&refresh("made-up-token")).await;
    browser.userinfo(&text("access_token")).await;
    browser.userinfo("eyJub25l.eyJ9.x").await;
    tracer.flush().await;
    let (answers, all) = told(events);
    let mut shown: Vec<&str> = answers.iter().map(String::as_str).collect();
    shown.retain(|name| *name != "http:response");
    let (refused, issued) = ("idms:refused", "idms:token_issued");
    let expected = [refused, "idms:authorized", issued, issued, refused, refused];
    assert_eq!(shown, expected, "{answers:?}");
    for secret in [
        PASSWORD,
        "hunter-guess",
        "made-up-token",
        VERIFIER,
        code.as_str(),
        &text("access_token"),
        &text("refresh_token"),
        &text("id_token"),
        renewed["refresh_token"].as_str().unwrap(),
        renewed["access_token"].as_str().unwrap(),
    ] {
        assert!(!all.contains(secret), "{secret} is in {all}");
    }
    assert!(all.contains("POST /idms/token"), "{all}");
}
