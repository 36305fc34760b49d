//! The clients of a gateway behind one interconnection, with a host that is there or not.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use mc_runtime::service::Context;
use mc_runtime::sip::{Incoming, SipConfig, SipEndpoint};
use mc_runtime::{CancellationToken, Tracer};
use mc_sip::{Method, StatusCode};
use serde_json::Value;

use super::*;
use crate::config::Provisioning;
use crate::config::tests::interconnected;

const PATIENCE: Duration = Duration::from_secs(20);

/// A host's server that answers OPTIONS, and how many it got.
async fn host() -> (SocketAddr, mpsc::Receiver<()>) {
    let config = SipConfig {
        bind: ([127, 0, 0, 1], 0).into(),
        ..SipConfig::default()
    };
    let stop = CancellationToken::new();
    let bound = SipEndpoint::bind(&config, Default::default(), Arc::new(()), &stop).await;
    let (endpoint, mut incoming) = bound.unwrap();
    let (asked, asks) = mpsc::channel(64);
    let address = endpoint.local_address();
    tokio::spawn(async move {
        let _open = (endpoint, stop);
        while let Some(Incoming::Request(request)) = incoming.recv().await {
            assert_eq!(request.request.method, Method::Options);
            request.respond_status(StatusCode::OK);
            asked.send(()).await.unwrap();
        }
    });
    (address, asks)
}

fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

fn report(status: &GatewayStatus) -> Value {
    serde_json::to_value(status.report()).unwrap()
}

async fn until(status: &GatewayStatus, up: bool) {
    let there = async {
        while report(status)["interconnection"]["up"] != up {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, there).await.unwrap();
}

#[tokio::test]
async fn one_interconnection_is_opened_for_all_and_closed_with_them() {
    let (server, mut asks) = host().await;
    let dir = tempfile::tempdir().unwrap();
    let mut config = interconnected("7.3");
    config.provisioning = Provisioning::OnDemand;
    let own = free();
    let interconnection = config.interconnection.as_mut().unwrap();
    interconnection.server = format!("sip:{server};transport=tcp");
    interconnection.state_dir = dir.path().to_owned();
    interconnection.endpoint.bind = own;
    interconnection.keepalive_ms = 100;
    let context = Context::new("segy");
    let status = Arc::new(GatewayStatus::new(
        config.approach.profile(),
        context.health.clone(),
        context.clock.clone(),
        Tracer::off(),
    ));
    let audit = Audit::open(None, context.clock.clone()).unwrap();
    let side = Encrypted::start(&config, context.clock, Tracer::off(), status.clone(), audit).await;
    let encrypted = side.unwrap().encrypted;
    until(&status, true).await;
    let told = report(&status);
    assert_eq!(told["attachment"], "MigratedClient");
    let interconnection = &told["interconnection"];
    assert_eq!(interconnection["spk_id"], "3a7e0003");
    assert_eq!(interconnection["psi"], "sip:mcptt-7.3@segy.example");
    assert_eq!(interconnection["users"], 0, "nobody has spoken yet");

    encrypted.stop().await;
    TcpListener::bind(own).unwrap();
    // Whatever was on its way when it closed has come.
    while asks.try_recv().is_ok() {}
    let more = tokio::time::timeout(Duration::from_millis(500), asks.recv()).await;
    assert!(more.is_err(), "still asking");
}

#[tokio::test]
async fn a_host_that_is_not_there_is_told_and_no_failure() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = interconnected("7.3");
    config.provisioning = Provisioning::OnDemand;
    let interconnection = config.interconnection.as_mut().unwrap();
    interconnection.server = format!("sip:{};transport=tcp", free());
    interconnection.state_dir = dir.path().to_owned();
    interconnection.endpoint.bind = free();
    let context = Context::new("segy");
    let status = Arc::new(GatewayStatus::new(
        config.approach.profile(),
        context.health.clone(),
        context.clock.clone(),
        Tracer::off(),
    ));
    let audit = Audit::open(None, context.clock.clone()).unwrap();
    let side = Encrypted::start(&config, context.clock, Tracer::off(), status.clone(), audit).await;
    until(&status, false).await;
    assert!(report(&status)["interconnection"]["detail"].is_string());
    side.unwrap().encrypted.stop().await;
}
