//! Routers as services of tower, so that its layers stand between sessions and handlers.

use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use chappe_carrier::lock;
use chappe_types::RpcError;
use tower_service::Service;

use super::Router;
use super::answer::Reply;
use super::dispatcher::{CallService, Dispatcher};
use super::pending::RawCall;
use super::task::CallFuture;

/// A [`Router`] as a service of tower. Clones share the handlers.
#[derive(Clone)]
pub struct RouterService(Arc<Router>);

impl Router {
    /// Makes a service of tower, to put layers around. [`Dispatcher::of_service`] makes a handler of the result.
    pub fn into_service(self) -> RouterService {
        RouterService(Arc::new(self))
    }
}

impl Service<RawCall> for RouterService {
    type Response = Reply;
    type Error = RpcError;
    type Future = CallFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), RpcError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: RawCall) -> CallFuture {
        self.0.call(call)
    }
}

impl fmt::Debug for RouterService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Any service, which each call gets a clone of. (Services need not be `Sync`.)
struct Cloned<S>(Mutex<S>);

impl<S> CallService for Cloned<S>
where
    S: Service<RawCall, Response = Reply, Error: Into<Box<dyn Error + Send + Sync>>> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    fn call(&self, call: RawCall) -> CallFuture {
        let mut service = lock(&self.0).clone();
        Box::pin(async move {
            poll_fn(|context| service.poll_ready(context)).await.map_err(rpc_error)?;
            service.call(call).await.map_err(rpc_error)
        })
    }
}

impl Dispatcher {
    /// Makes the handler of an [`Engine`](crate::Engine) of a service: a [`RouterService`] with layers around it.
    ///
    /// An error of the service that is an [`RpcError`] answers the call. Any other is logged, and answered with the error 500
    /// `INTERNAL_SERVER_ERROR`; map the errors of layers (`Elapsed`, `Overloaded`) to say something else.
    pub fn of_service<S>(service: S) -> Self
    where
        S: Service<RawCall, Response = Reply, Error: Into<Box<dyn Error + Send + Sync>>>
            + Clone
            + Send
            + 'static,
        S::Future: Send + 'static,
    {
        Self::new(Cloned(Mutex::new(service)))
    }
}

fn rpc_error(error: impl Into<Box<dyn Error + Send + Sync>>) -> RpcError {
    error.into().downcast::<RpcError>().map_or_else(
        |error| {
            tracing::warn!(%error, "a service failed");
            RpcError::new(500, "INTERNAL_SERVER_ERROR")
        },
        |error| *error,
    )
}
