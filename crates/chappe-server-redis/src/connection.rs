//! A connection that is opened again when it is lost.

use std::time::Duration;

use chappe_server::directory::DirectoryError;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, FromRedisValue, RedisError, Script, ScriptInvocation};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, timeout};

/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(2);

/// How long a request is repeated while Redis does not answer.
const PATIENCE: Duration = Duration::from_secs(6);

/// Pause between attempts.
const PAUSE: Duration = Duration::from_millis(100);

/// A connection and the runtime that serves it.
#[derive(Clone)]
pub(crate) struct Connection {
    manager: ConnectionManager,
    /// Requests may be polled outside of the runtime.
    runtime: Handle,
}

impl Connection {
    /// Opens a connection, within a runtime.
    pub(crate) async fn open(url: &str) -> Result<Self, RedisError> {
        Self::open_with(url, Some(ATTEMPT)).await
    }

    /// Opens a connection for requests that Redis answers late on purpose.
    pub(crate) async fn open_to_wait(url: &str) -> Result<Self, RedisError> {
        Self::open_with(url, None).await
    }

    async fn open_with(url: &str, response_timeout: Option<Duration>) -> Result<Self, RedisError> {
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_connection_timeout(Some(ATTEMPT))
            .set_response_timeout(response_timeout);
        let manager = ConnectionManager::new_with_config(Client::open(url)?, config).await?;
        Ok(Self { manager, runtime: Handle::current() })
    }

    /// Runs a script, again and again while Redis cannot be reached. The script must be one that may be repeated.
    pub(crate) async fn run<T: FromRedisValue + Send + 'static>(
        &self,
        script: &'static Script,
        prepare: impl Fn(&mut ScriptInvocation<'_>) + Send + 'static,
    ) -> Result<T, DirectoryError> {
        let mut manager = self.manager.clone();
        let attempts = async move {
            let deadline = Instant::now() + PATIENCE;
            loop {
                let mut call = script.prepare_invoke();
                prepare(&mut call);
                match call.invoke_async(&mut manager).await {
                    Ok(value) => return Ok(value),
                    Err(error) if is_final(&error) || Instant::now() >= deadline => return Err(error),
                    Err(_) => sleep(PAUSE).await,
                }
            }
        };
        match self.runtime.spawn(attempts).await {
            Ok(done) => done.map_err(DirectoryError::unavailable),
            // The runtime has ended.
            Err(_) => Err(DirectoryError::Stopped),
        }
    }
}

/// An entry of a stream: its id, and its fields.
pub(crate) type StreamEntry = (String, Vec<(String, String)>);

/// A stream: its name, and its entries.
type Stream = (String, Vec<StreamEntry>);

impl Connection {
    /// Waits.
    pub(crate) async fn sleep(&self, time: Duration) -> Result<(), DirectoryError> {
        self.runtime.spawn(sleep(time)).await.map_err(|_| DirectoryError::Stopped)
    }

    /// Returns the entries of a stream behind `after`, and waits for one if there is none. Fails after a pause.
    pub(crate) async fn read_stream(
        &self,
        stream: String,
        after: String,
        most: Duration,
    ) -> Result<Vec<StreamEntry>, DirectoryError> {
        let mut manager = self.manager.clone();
        let reading = async move {
            let mut call = redis::cmd("XREAD");
            // Zero would wait without end.
            call.arg("COUNT").arg(1000).arg("BLOCK").arg(most.as_millis().max(1) as u64);
            call.arg("STREAMS").arg(stream).arg(after);
            let reading = call.query_async(&mut manager);
            let read: Result<Option<Vec<Stream>>, _> = match timeout(most + ATTEMPT, reading).await {
                Ok(read) => read.map_err(DirectoryError::unavailable),
                Err(_) => Err(DirectoryError::unavailable("Redis does not answer")),
            };
            if read.is_err() {
                sleep(PAUSE).await;
            }
            Ok(read?.unwrap_or_default().into_iter().flat_map(|(_, entries)| entries).collect())
        };
        self.runtime.spawn(reading).await.unwrap_or(Err(DirectoryError::Stopped))
    }
}

/// Returns whether another attempt would fail as this one did. A server that starts answers `LOADING`.
fn is_final(error: &RedisError) -> bool {
    let is_lost = error.is_io_error() || error.is_connection_dropped() || error.is_timeout();
    !is_lost && error.code() != Some("LOADING") && error.code() != Some("MASTERDOWN")
}
