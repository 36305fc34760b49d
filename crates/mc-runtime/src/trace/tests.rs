use std::time::Duration;

use mc_trace::{Endpoint, KeyKind, names};

use super::*;

fn request() -> Event {
    Event::received(
        &names::HTTP_REQUEST,
        Endpoint::named("alice"),
        Endpoint::named("kms"),
        "Authorization: Bearer s3cret\r\n",
    )
}

#[tokio::test]
async fn an_event_reaches_the_collector_and_the_file_without_its_secret() {
    let collector = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run/trace.jsonl");
    let config = TraceConfig {
        hep: vec![collector.local_addr().unwrap()],
        lines: Some(file.clone()),
        key_log: Some(folder.path().join("keys.jsonl")),
        ..TraceConfig::default()
    };
    let tracer = Tracer::start("kms", &config).unwrap();
    tracer.emit(request());
    tracer.key(KeyLogEntry::distributed(
        KeyKind::Csk,
        1,
        &[7; 16],
        &[8; 16],
    ));
    tracer.flush().await;

    let mut datagram = vec![0; 65_536];
    let received = tokio::time::timeout(Duration::from_secs(5), collector.recv(&mut datagram));
    let length = received.await.unwrap().unwrap();
    let sent = mc_trace::hep::decode(&datagram[..length]).unwrap();
    let text = std::fs::read_to_string(file).unwrap();
    let written: Vec<Event> = mc_trace::lines::read(&text).map(Result::unwrap).collect();
    assert_eq!(written, std::slice::from_ref(&sent));
    assert_eq!(sent.raw, b"Authorization: Bearer ******\r\n");
    assert_eq!(sent.node, "kms");
    assert!(sent.time_us > 1_600_000_000_000_000);
    assert!(!folder.path().join("keys.jsonl").exists());
}

#[tokio::test]
async fn lab_keys_writes_the_key_log_and_keeps_octets() {
    let folder = tempfile::tempdir().unwrap();
    let config = TraceConfig {
        lines: Some(folder.path().join("trace.jsonl")),
        lab_keys: true,
        key_log: Some(folder.path().join("keys.jsonl")),
        ..TraceConfig::default()
    };
    let tracer = Tracer::start("kms", &config).unwrap();
    tracer.emit(request());
    tracer.key(KeyLogEntry::distributed(
        KeyKind::Csk,
        1,
        &[7; 16],
        &[8; 16],
    ));
    tracer.flush().await;
    let keys = std::fs::read_to_string(folder.path().join("keys.jsonl")).unwrap();
    let keys: Vec<_> = mc_trace::keylog::read(&keys).collect();
    assert_eq!((keys.len(), keys[0].node.as_str()), (1, "kms"));
    let text = std::fs::read_to_string(folder.path().join("trace.jsonl")).unwrap();
    let event = mc_trace::lines::read(&text).next().unwrap().unwrap();
    assert_eq!(event.raw, b"Authorization: Bearer s3cret\r\n");
}

#[tokio::test]
async fn a_full_queue_drops_and_counts_instead_of_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let config = TraceConfig {
        lines: Some(folder.path().join("trace.jsonl")),
        queue: 4,
        ..TraceConfig::default()
    };
    let tracer = Tracer::start("kms", &config).unwrap();
    // One thread and no await: the output task cannot run in between.
    for _ in 0..10 {
        tracer.emit(request());
    }
    assert_eq!(tracer.dropped(), 6);
    tracer.flush().await;
    let text = std::fs::read_to_string(folder.path().join("trace.jsonl")).unwrap();
    assert_eq!(text.lines().count(), 4);
}

#[tokio::test]
async fn nothing_configured_means_nothing_happens() {
    let tracer = Tracer::start("kms", &TraceConfig::default()).unwrap();
    assert!(!tracer.is_on());
    tracer.emit(request());
    tracer.flush().await;
}

#[tokio::test]
async fn times_never_repeat() {
    let (tracer, mut events) = Tracer::to_channel("kms", 64);
    for _ in 0..50 {
        tracer.emit(request());
    }
    let mut last = 0;
    for _ in 0..50 {
        let event = events.recv().await.unwrap();
        assert!(event.time_us > last);
        last = event.time_us;
    }
}

#[test]
fn the_section_refuses_unknown_fields() {
    let config: TraceConfig = toml::from_str("hep = ['127.0.0.1:9060']").unwrap();
    assert!(config.media && !config.lab_keys);
    assert!(toml::from_str::<TraceConfig>("lab_key = true").is_err());
}
