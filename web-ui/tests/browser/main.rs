//! A real headless Chromium opens the console and does what a person does.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod story;
mod support;

use std::time::Duration;

use mc_trace::{Direction, Endpoint, Event, Transport, names};
use support::Lab;
use testkit::browser::Browser;
use thirtyfour::prelude::*;

fn sip(direction: Direction, node: &str, start_line: &str) -> Event {
    let raw = format!(
        "{start_line}\r\nFrom: <sip:alice@mc.example>;tag=1\r\nCall-ID: call-1\r\n\
         CSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
    );
    let at = |port: u16| std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let ends = (
        Endpoint::new("alice", at(5080)),
        Endpoint::new("mcptt-server", at(5060)),
    );
    let mut event = Event::sip(
        &names::SIP_SENT,
        direction,
        ends.0,
        ends.1,
        Transport::Tcp,
        raw.as_bytes(),
    );
    node.clone_into(&mut event.node);
    event.time_us = 1_790_000_000_000_000;
    event
}

fn invite() -> Event {
    sip(
        Direction::Sent,
        "alice",
        "INVITE sip:fireground-1@mc.example SIP/2.0",
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_map_shows_services_with_light_and_reason() {
    let lab = Lab::start().await;
    let browser = Browser::open(&lab.url()).await;
    browser
        .wait_for("li[data-node=kms][data-light=green]")
        .await;
    let red = browser.wait_for("li[data-node=gms][data-light=red]").await;
    assert!(
        text(&red).await.contains("not reachable"),
        "{}",
        text(&red).await
    );
    let amber = browser
        .wait_for("li[data-node=segy][data-light=amber]")
        .await;
    assert!(text(&amber).await.contains("waits for gms"));
    browser.wait_for("svg .node.service.red").await;
    assert!(
        browser
            .find("#lab-keys")
            .await
            .is_displayed()
            .await
            .unwrap()
    );
    assert!(
        !browser
            .find("#insecure")
            .await
            .is_displayed()
            .await
            .unwrap()
    );
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_appears_live_and_opens_on_click_and_by_keyboard() {
    let lab = Lab::start().await;
    let browser = Browser::open(&lab.url()).await;
    browser.wait_for("#link.green").await;
    lab.send(&invite().key(0x2ddd_5bf0)).await;
    let row = browser.wait_for("#rows tr[data-id='1']").await;
    assert!(
        text(&row)
            .await
            .contains("INVITE sip:fireground-1@mc.example")
    );
    browser.wait_for("li[data-node=alice]").await;
    browser.wait_for(".legs .pill.amber").await;

    row.click().await.unwrap();
    let detail = browser.wait_for("#detail dl").await;
    for part in [
        "RFC 3261 18.1.1",
        "2ddd5bf0",
        "call-1",
        "alice (127.0.0.1:5080)",
    ] {
        assert!(text(&detail).await.contains(part), "{part}");
    }
    let message = browser.find("#detail").await;
    assert!(
        text(&message)
            .await
            .contains("From: <sip:alice@mc.example>;tag=1")
    );
    browser.press("#detail .close", Key::Escape).await;
    assert!(!message.is_displayed().await.unwrap());

    let mut ok = sip(Direction::Received, "alice", "SIP/2.0 200 OK");
    std::mem::swap(&mut ok.from, &mut ok.to);
    lab.send(&ok).await;
    browser.wait_for("#rows tr[data-id='2']").await;
    browser.wait_for(".legs .pill.green").await;
    browser.press("#rows tr[data-id='1']", Key::Down).await;
    browser.press("#rows tr[data-id='2']", Key::Enter).await;
    browser
        .wait_for("#rows tr[data-id='2'][aria-selected=true]")
        .await;
    browser.wait_for("#detail .close:focus").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn speech_is_one_row_and_filters_hide_what_they_say() {
    let lab = Lab::start().await;
    let browser = Browser::open(&lab.url()).await;
    for n in 0..50 {
        let ends = (Endpoint::named("segy"), Endpoint::named("mcptt-server"));
        let mut event = Event::sent(&names::MEDIA_SENT, ends.0, ends.1, vec![0x80; 60]);
        event.time_us = 1_790_000_000_000_000 + n * 20_000;
        "segy".clone_into(&mut event.node);
        lab.send(&event.summary("SRTP SSRC 12345678")).await;
    }
    lab.send(&invite()).await;
    browser.wait_for("#rows tr:nth-child(2)").await;
    let speech = browser.wait_for("#rows tr.media .times").await;
    browser.until(&speech, |text| text == "× 50").await;

    browser.flip("#with-media").await;
    browser.wait_gone("#rows tr.media").await;
    browser.flip("#with-media").await;
    browser.wait_for("#rows tr.media").await;
    browser.click("#by-interface option[value='SIP-1']").await;
    browser.wait_gone("#rows tr.media").await;
    browser.wait_for("#rows tr[data-id='2']").await;
    browser.press("#by-text", "no such text").await;
    browser.wait_gone("#rows tr").await;
    let count = browser.find("#count").await;
    browser
        .until(&count, |text| text == "0 messages, 2 filtered out")
        .await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ladder_draws_lanes_and_arrows() {
    let lab = Lab::start().await;
    let browser = Browser::open(&lab.url()).await;
    lab.send(&invite()).await;
    browser.wait_for("#rows tr").await;
    browser.click("#tab-ladder").await;
    browser.wait_for("#ladder .step polygon").await;
    let lanes = browser
        .driver
        .find_all(By::Css("#ladder .head"))
        .await
        .unwrap();
    assert_eq!(lanes.len(), 2);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_text_is_inert_everywhere() {
    const EVIL: &str = "<script>window.evil=1</script><img src=x onerror=\"window.evil=2\">'\"&";
    let lab = Lab::start().await;
    let browser = Browser::open(&lab.url()).await;
    let mut event = invite()
        .summary(EVIL)
        .clause(EVIL)
        .call(EVIL)
        .correlation(EVIL);
    event.from.name = EVIL.to_owned();
    event.node = EVIL.to_owned();
    event.interface = mc_trace::Interface(EVIL.into());
    event.raw = EVIL.as_bytes().to_vec();
    event.decoded = serde_json::json!({ EVIL: EVIL });
    lab.send(&event).await;
    let mut call = invite();
    call.from.name = EVIL.to_owned();
    call.node = EVIL.to_owned();
    lab.send(&call.summary(format!("INVITE {EVIL}"))).await;

    let row = browser.wait_for("#rows tr[data-id='1']").await;
    assert!(text(&row).await.contains("<script>window.evil=1</script>"));
    row.click().await.unwrap();
    let detail = browser.wait_for("#detail pre").await;
    assert!(text(&detail).await.contains("<script>"));
    browser.wait_for(".legs li").await;
    browser.click("#tab-ladder").await;
    browser.wait_for("#ladder .step").await;
    // A round trip through the server's own page as well.
    browser.driver.refresh().await.unwrap();
    browser.wait_for("#rows tr[data-id='1']").await;
    let evil = browser.run("return window.evil === undefined").await;
    assert_eq!(evil, true);
    let markup =
        "return document.querySelectorAll('body img:not([src=\"/icon.svg\"]), body script').length";
    assert_eq!(browser.run(markup).await, 0);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_button_starts_its_call_and_shows_the_result() {
    let lab = Lab::start().await;
    let browser = Browser::open(&lab.url()).await;
    browser
        .wait_for("button[data-call='7.1/group-lmr-to-mc']:enabled")
        .await;
    browser
        .click("button[data-call='7.1/group-lmr-to-mc']")
        .await;
    let started = tokio::time::timeout(Duration::from_secs(10), lab.started()).await;
    assert_eq!(started.unwrap(), "7.1/group-lmr-to-mc");
    browser.wait_for(".demo .pill.running").await;
    lab.finish();
    browser.wait_for(".demo li:first-child .pill.green").await;
    let result = browser.find(".demo li:first-child").await;
    let words = text(&result).await;
    assert!(
        words.contains("speech 0.91") && words.contains("access 120 ms"),
        "{words}"
    );
    let step = browser.find(".demo li:first-child abbr.green").await;
    assert_eq!(step.attr("title").await.unwrap().unwrap(), "token: pass");
    browser.close().await;
}

async fn text(element: &WebElement) -> String {
    element.prop("textContent").await.unwrap().unwrap()
}

/// Not a check: fills the console with a plausible run and keeps pictures of it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "draws pictures for a person: set MCBOX_SCREENSHOTS to a folder"]
async fn pictures() {
    let Ok(folder) = std::env::var("MCBOX_SCREENSHOTS") else {
        panic!("MCBOX_SCREENSHOTS names no folder");
    };
    let lab = Lab::start().await;
    story::send(&lab).await;
    for (name, dark, size) in [
        ("light", false, (1440, 950)),
        ("dark", true, (1440, 950)),
        ("narrow", false, (760, 1400)),
    ] {
        let browser = Browser::open_as(&lab.url(), dark, size).await;
        browser.wait_for("#rows tr:nth-child(5)").await;
        browser.wait_for("li[data-node=gms][data-light=red]").await;
        browser.shot(&format!("{folder}/{name}.png")).await;
        browser.click("#rows tr:nth-last-child(4)").await;
        browser.wait_for("#detail dl").await;
        browser.shot(&format!("{folder}/{name}-detail.png")).await;
        browser.press("#detail .close", Key::Escape).await;
        browser.click("#tab-ladder").await;
        browser.wait_for("#ladder .step").await;
        browser.shot(&format!("{folder}/{name}-ladder.png")).await;
        browser.close().await;
    }
}
