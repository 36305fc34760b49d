//! One TCP connection: framing in, queue out.

use std::net::SocketAddr;

use mc_sip::{Frame, Rejected, StreamFramer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::limits::Bucket;
use crate::places::Place;

/// How long a connection attempt may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What a connection tells the core.
#[derive(Debug)]
pub(super) enum FromConnection {
    Message(SocketAddr, Vec<u8>),
    Unframeable(SocketAddr, Box<Rejected>),
    /// The connection with this number ended; `reached` is false when it never came about.
    Ended {
        address: SocketAddr,
        number: u64,
        reached: bool,
    },
}

pub(super) struct Connection {
    pub(super) address: SocketAddr,
    pub(super) number: u64,
    pub(super) place: Place,
    pub(super) rate: u32,
    pub(super) idle: Duration,
    pub(super) message_timeout: Duration,
    pub(super) to_core: mpsc::Sender<FromConnection>,
    pub(super) shutdown: CancellationToken,
}

impl Connection {
    /// Runs an accepted connection.
    pub(super) async fn accepted(self, stream: TcpStream, queue: mpsc::Receiver<Vec<u8>>) {
        self.run(stream, queue).await;
        self.ended(true).await;
    }

    /// Dials the peer, then runs the connection.
    pub(super) async fn dialled(self, queue: mpsc::Receiver<Vec<u8>>) {
        let dial = timeout(CONNECT_TIMEOUT, TcpStream::connect(self.address));
        let stream = tokio::select! {
            stream = dial => stream.ok().and_then(Result::ok),
            () = self.shutdown.cancelled() => None,
        };
        let reached = stream.is_some();
        if let Some(stream) = stream {
            self.run(stream, queue).await;
        }
        self.ended(reached).await;
    }

    async fn ended(&self, reached: bool) {
        let ended = FromConnection::Ended {
            address: self.address,
            number: self.number,
            reached,
        };
        tokio::select! {
            _ = self.to_core.send(ended) => {}
            () = self.shutdown.cancelled() => {}
        }
    }

    async fn run(&self, stream: TcpStream, queue: mpsc::Receiver<Vec<u8>>) {
        // Small messages must not wait for each other.
        let _ = stream.set_nodelay(true);
        let (reader, writer) = stream.into_split();
        let (pong, pongs) = mpsc::channel(4);
        tokio::select! {
            () = self.read(reader, pong) => {}
            () = write(writer, queue, pongs) => {}
            () = self.place.withdrawn().cancelled() => {}
            () = self.shutdown.cancelled() => {}
        }
    }

    async fn read(&self, mut reader: OwnedReadHalf, pong: mpsc::Sender<()>) {
        let mut framer = StreamFramer::new();
        let mut bucket = Bucket::new(self.rate, Instant::now());
        let mut buffer = vec![0; 16_384];
        let mut message_due = None;
        loop {
            let due = message_due.unwrap_or_else(|| Instant::now() + self.idle);
            let Ok(received) = timeout_at(due, reader.read(&mut buffer)).await else {
                let (peer, in_message) = (self.address, message_due.is_some());
                tracing::info!(%peer, in_message, "nothing complete came in time, closing");
                return;
            };
            let length = received.unwrap_or(0);
            if length == 0 {
                return;
            }
            framer.push(buffer.get(..length).unwrap_or_default());
            loop {
                match framer.next_frame() {
                    Ok(None) => break,
                    Ok(Some(Frame::Ping)) => drop(pong.try_send(())),
                    Ok(Some(Frame::Message(message))) => {
                        self.place.keep();
                        message_due = None;
                        while !bucket.take(Instant::now()) {
                            sleep(bucket.wait()).await;
                        }
                        let message = FromConnection::Message(self.address, message);
                        if self.to_core.send(message).await.is_err() {
                            return;
                        }
                    }
                    Err(rejected) => {
                        let rejected =
                            FromConnection::Unframeable(self.address, Box::new(rejected));
                        let _ = self.to_core.send(rejected).await;
                        // Leave the writer a moment to send the refusal the core now queues.
                        sleep(Duration::from_millis(200)).await;
                        return;
                    }
                }
            }
            message_due = framer
                .is_in_message()
                .then(|| message_due.unwrap_or_else(|| Instant::now() + self.message_timeout));
        }
    }
}

async fn write(
    mut writer: OwnedWriteHalf,
    mut queue: mpsc::Receiver<Vec<u8>>,
    mut pongs: mpsc::Receiver<()>,
) {
    loop {
        let bytes = tokio::select! {
            bytes = queue.recv() => match bytes {
                Some(bytes) => bytes,
                None => return,
            },
            Some(()) = pongs.recv() => b"\r\n".to_vec(),
        };
        if writer.write_all(&bytes).await.is_err() {
            return;
        }
    }
}
