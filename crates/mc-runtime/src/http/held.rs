//! Connections of a server within its [`Places`]: the one that waits longest for a request that is
//! answered gives way when there is no place left, whatever it pretends to send meanwhile.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum_server::accept::Accept;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tower::Service;

use crate::places::{Place, Places};

/// Admits connections before the acceptor `A` (which speaks TLS, or nothing) sees them.
#[derive(Debug, Clone)]
pub(super) struct Admitting<A> {
    pub(super) inner: A,
    pub(super) places: Places,
}

impl<A, S> Accept<TcpStream, S> for Admitting<A>
where
    A: Accept<Held, Answering<S>> + Clone + Send + 'static,
    A::Future: Send,
    S: Send + 'static,
{
    type Stream = A::Stream;
    type Service = A::Service;
    type Future = Pin<Box<dyn Future<Output = io::Result<(A::Stream, A::Service)>> + Send>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let (inner, places) = (self.inner.clone(), self.places.clone());
        Box::pin(async move {
            let address = stream.peer_addr()?.ip();
            let place = Arc::new(places.admit(address).ok_or(io::ErrorKind::QuotaExceeded)?);
            let withdrawn = Box::pin(place.withdrawn().clone().cancelled_owned());
            let service = Answering { service, place };
            inner.accept(Held { stream, withdrawn }, service).await
        })
    }
}

/// A connection that ends when its place is withdrawn.
#[derive(Debug)]
pub(super) struct Held {
    stream: TcpStream,
    withdrawn: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl AsyncRead for Held {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.withdrawn.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Held {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.withdrawn.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// The service of one connection, whose place counts as waiting anew from each answer on.
#[derive(Debug, Clone)]
pub(super) struct Answering<S> {
    service: S,
    place: Arc<Place>,
}

impl<S, R> Service<R> for Answering<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let (answer, place) = (self.service.call(request), Arc::clone(&self.place));
        Box::pin(async move {
            let answer = answer.await;
            place.waits();
            answer
        })
    }
}
