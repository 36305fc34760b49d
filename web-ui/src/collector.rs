//! The HEP3 collector: one UDP socket, every datagram an event or refused.

use std::net::SocketAddr;

use mc_runtime::service::Context;
use mc_trace::hep;
use tokio::net::UdpSocket;

use crate::state::Console;

/// Octets the kernel keeps for us while a burst of speech arrives.
const MAX: usize = 65_536;

/// Listens and returns the bound address.
///
/// # Errors
/// If the address cannot be bound.
pub(crate) async fn start(
    listen: SocketAddr,
    console: Console,
    context: &Context,
) -> std::io::Result<SocketAddr> {
    let socket = UdpSocket::bind(listen).await?;
    let address = socket.local_addr()?;
    let shutdown = context.shutdown.clone();
    tokio::spawn(async move {
        let collect = collect(&socket, &console);
        shutdown.run_until_cancelled(collect).await;
    });
    Ok(address)
}

async fn collect(socket: &UdpSocket, console: &Console) {
    let mut datagram = vec![0; MAX];
    loop {
        let (length, peer) = match socket.recv_from(&mut datagram).await {
            Ok(received) => received,
            Err(error) => {
                tracing::debug!(%error, "HEP socket");
                tokio::task::yield_now().await;
                continue;
            }
        };
        match hep::decode(datagram.get(..length).unwrap_or_default()) {
            Ok(event) => console.event(event),
            Err(error) => tracing::debug!(%peer, %error, "datagram is not HEP3"),
        }
    }
}
