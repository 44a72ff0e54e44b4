//! From the queries of sessions to the calls of handlers that may take their time.

use std::fmt;
use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};

use chappe_handshake::bind::BindTempAuthKey;
use chappe_tl::Deserializable as _;
use chappe_tl::Identifiable as _;
use chappe_types::{BindError, RpcError};

use super::context::CallContext;
use super::limits::CallLimits;
use super::pending::{HeldCalls, Pending, RawCall};
use super::schema::functions;
use super::session_calls::{Begun, Next};
use super::spawn::spawn;
use super::stop::Stop;
use super::task::{CallFuture, Outcome, Task};
use super::wrappers::{unpack, unwrap};
use crate::event::ServerEvent;
use crate::handler::{Context, Handler, QueryResponse};
use crate::session::Attached;

/// What answers calls: a router, with or without layers around it.
pub(super) trait CallService: Send + Sync + 'static {
    fn call(&self, call: RawCall) -> CallFuture;
}

type Hook = Box<dyn Fn(&ServerEvent) + Send + Sync>;

/// The [`Handler`] of an engine whose calls are answered by a [`Router`](crate::Router).
///
/// * Wrappers (`invokeWithLayer`, `initConnection`, `invokeWithoutUpdates`, `invokeAfterMsg(s)`, `gzip_packed`) are removed,
///   and told in the [`CallContext`].
/// * A handler's future is polled once where the query came. One that is not ready then goes on as a task of the tokio runtime
///   of the listener; under a blocking listener, on a thread of its own.
/// * A call ends when the client drops it (`rpc_drop_answer`) and when its session ends: its future is dropped.
/// * A call after another that failed is answered with `MSG_WAIT_FAILED`, as Telegram does.
/// * `auth.bindTempAuthKey` binds, wherever it stands. Under a temporary key that is not bound, all calls but
///   `help.getConfig` and `help.getNearestDc` are answered with `AUTH_KEY_PERM_EMPTY`.
/// * A panic of a handler is answered with the error 500.
pub struct Dispatcher {
    inner: Arc<Inner>,
    hook: Option<Hook>,
}

struct Inner {
    service: Box<dyn CallService>,
    limits: CallLimits,
    load: Arc<HeldCalls>,
}

impl Dispatcher {
    pub(super) fn new(service: impl CallService) -> Self {
        let inner = Inner { service: Box::new(service), limits: CallLimits::default(), load: Arc::default() };
        Self { inner: Arc::new(inner), hook: None }
    }

    /// Sets how many calls run at the same time. Call it before the engine is made.
    #[must_use]
    pub fn with_limits(mut self, limits: CallLimits) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            inner.limits = limits;
        }
        self
    }

    /// Sets what is called with each [`ServerEvent`] of the server.
    #[must_use]
    pub fn with_hook(mut self, hook: impl Fn(&ServerEvent) + Send + Sync + 'static) -> Self {
        self.hook = Some(Box::new(hook));
        self
    }

    fn answer(&self, context: &Context<'_>, body: &[u8]) -> Result<QueryResponse, RpcError> {
        let mut unwrapped = unwrap(body, |packed| unpack_within_budget(context, packed))?;
        let call_context = CallContext::new(context, &mut unwrapped);
        let call = RawCall { context: call_context, body: unwrapped.query };
        let id = call.constructor_id();
        if id == BindTempAuthKey::CONSTRUCTOR_ID {
            let request = BindTempAuthKey::from_bytes(&call.body);
            return Ok(match request {
                Ok(request) => context.answer_bind(&request),
                Err(_) => QueryResponse::of_bind_error(BindError::EncryptedMessageInvalid),
            });
        }
        if context.permanent_key_id().is_none() && !is_allowed_unbound(id) {
            return Err(RpcError::new(401, "AUTH_KEY_PERM_EMPTY"));
        }
        let admitted = self.inner.load.admit(call, &self.inner.limits);
        let pending = admitted.ok_or_else(|| RpcError::new(420, "FLOOD_WAIT_1"))?;
        match context.session.calls().begin(pending, self.inner.limits.per_session) {
            Begun::Run(pending, stop) => Ok(self.inner.run(pending, stop)),
            Begun::Waits | Begun::Over => Ok(QueryResponse::Later),
        }
    }
}

/// Unpacks an object within a wrapper, if the client has not made the server unpack too much already.
fn unpack_within_budget(context: &Context<'_>, packed: &[u8]) -> Result<Vec<u8>, RpcError> {
    let (engine, key, now) = (context.engine, context.key, context.now);
    let budgets = &engine.options().budgets;
    if !key.may_inflate(now.mono, budgets) || !engine.may_inflate(context.network, now) {
        return Err(RpcError::new(420, "FLOOD_WAIT_1"));
    }
    let unpacked = unpack(packed, engine.options().session.unpacked_bytes);
    let cost =
        unpacked.as_ref().map_or_else(|_| engine.most_inflated(packed.len()), |bytes| bytes.len() as u64);
    engine.spend_inflated(key, context.network, cost, now);
    unpacked
}

/// What a temporary key may ask before it is bound.
const fn is_allowed_unbound(id: u32) -> bool {
    matches!(id, functions::help::GetConfig::CONSTRUCTOR_ID | functions::help::GetNearestDc::CONSTRUCTOR_ID)
}

impl Handler for Dispatcher {
    fn query(&self, context: &Context<'_>, body: &[u8]) -> QueryResponse {
        self.answer(context, body).unwrap_or_else(|error| response(Err(error)))
    }

    fn dropped(&self, context: &Context<'_>) {
        let next = context.session.calls().stop(context.msg_id, self.inner.limits.per_session);
        self.inner.go_on(next);
    }

    fn event(&self, event: &ServerEvent) {
        if let ServerEvent::SessionEnded { session } = event {
            session.calls().stop_all();
        }
        if let Some(hook) = &self.hook {
            hook(event);
        }
    }
}

impl Inner {
    /// Begins a call where its query came. Most handlers are ready at once.
    fn run(self: &Arc<Self>, mut pending: Pending, stop: Arc<Stop>) -> QueryResponse {
        let mut task = self.task(&mut pending, stop);
        let mut context = TaskContext::from_waker(Waker::noop());
        match Pin::new(&mut task).poll(&mut context) {
            Poll::Ready(Some(outcome)) => {
                self.after(pending, outcome.is_ok());
                response(outcome)
            }
            // Its query has an answer, or no session.
            Poll::Ready(None) => {
                self.after(pending, false);
                QueryResponse::Later
            }
            // The first poll of the task tells the future its waker.
            Poll::Pending => self.go_on_elsewhere(task, pending).unwrap_or(QueryResponse::Later),
        }
    }

    fn task(&self, pending: &mut Pending, stop: Arc<Stop>) -> Task {
        let call = pending.take_call();
        let context = call.context.clone();
        // A service that panics before it returns a future must answer too.
        let called = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.service.call(call)));
        let future = called.unwrap_or_else(|_| {
            context.engine().refusals().panics.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Box::pin(ready(Err(RpcError::new(500, "INTERNAL_SERVER_ERROR"))))
        });
        Task::new(future, stop, context)
    }

    /// Lets a task run apart from the connection. Returns an answer if that is impossible.
    fn go_on_elsewhere(self: &Arc<Self>, task: Task, pending: Pending) -> Option<QueryResponse> {
        let inner = Arc::clone(self);
        let context = pending.context().clone();
        let is_running = spawn(async move {
            let outcome = task.await;
            let is_ok = matches!(outcome, Some(Ok(_)));
            if let Some(outcome) = outcome {
                respond(pending.context(), outcome);
            }
            inner.after(pending, is_ok);
        });
        if is_running {
            return None;
        }
        let next = context.session().calls().end(context.msg_id(), false, self.limits.per_session);
        self.go_on(next);
        Some(response(Err(RpcError::new(420, "FLOOD_WAIT_1"))))
    }

    /// Lets calls go on that waited for this one.
    fn after(self: &Arc<Self>, pending: Pending, succeeded: bool) {
        let (session, msg_id) = (pending.context().session().clone(), pending.msg_id());
        drop(pending);
        self.go_on(session.calls().end(msg_id, succeeded, self.limits.per_session));
    }

    fn go_on(self: &Arc<Self>, next: Vec<Next>) {
        for next in next {
            match next {
                Next::Run(mut pending, stop) => {
                    let task = self.task(&mut pending, stop);
                    let context = pending.context().clone();
                    if self.go_on_elsewhere(task, pending).is_some() {
                        respond(&context, Err(RpcError::new(420, "FLOOD_WAIT_1")));
                    }
                }
                Next::Fail(pending) => {
                    respond(pending.context(), Err(RpcError::new(400, "MSG_WAIT_FAILED")));
                }
            }
        }
    }
}

fn response(outcome: Outcome) -> QueryResponse {
    match outcome {
        Ok(reply) if reply.is_alone => QueryResponse::AnswerAlone(reply.object),
        Ok(reply) => QueryResponse::Answer(reply.object),
        Err(RpcError { code, message }) => QueryResponse::Error { code, message },
    }
}

/// Answers a query after its frame was handled.
fn respond(context: &CallContext, outcome: Outcome) {
    let session: &Attached = context.session();
    if let Err(error) = session.respond(context.msg_id(), response(outcome)) {
        tracing::debug!(%error, "session closed");
        context.end_session();
    }
}

impl fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher").field("limits", &self.inner.limits).finish_non_exhaustive()
    }
}
