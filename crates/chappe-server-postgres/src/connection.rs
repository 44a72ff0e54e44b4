//! A connection that is opened again when it is lost.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chappe_server::directory::DirectoryError;
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, Error, NoTls, Row, Statement};

/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(2);

/// How long a request is repeated while PostgreSQL does not answer.
const PATIENCE: Duration = Duration::from_secs(6);

/// Pause between attempts.
const PAUSE: Duration = Duration::from_millis(100);

/// An argument of a statement.
pub(crate) type Argument = Box<dyn ToSql + Send + Sync>;

/// A connection and the runtime that serves it.
#[derive(Clone)]
pub(crate) struct Connection {
    config: Arc<Config>,
    open: Arc<Mutex<Option<Open>>>,
    /// Requests may be polled outside of the runtime.
    runtime: Handle,
}

/// A connection, and the statements that it knows.
struct Open {
    client: Arc<Client>,
    statements: HashMap<&'static str, Statement>,
}

/// Why an attempt failed.
enum Failure {
    Postgres(Error),
    TimedOut,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Postgres(error)
    }
}

impl Connection {
    /// Opens a connection, within a runtime.
    pub(crate) async fn open(config: Config) -> Result<Self, Error> {
        let open = Arc::new(Mutex::new(None));
        let connection = Self { config: Arc::new(config), open, runtime: Handle::current() };
        *connection.open.lock().await = Some(connection.connect().await?);
        Ok(connection)
    }

    async fn connect(&self) -> Result<Open, Error> {
        let mut config = (*self.config).clone();
        config.connect_timeout(ATTEMPT);
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection to PostgreSQL lost");
            }
        });
        Ok(Open { client: Arc::new(client), statements: HashMap::new() })
    }

    /// Runs several statements without arguments.
    pub(crate) async fn batch(&self, statements: &str) -> Result<(), Error> {
        let client = match &*self.open.lock().await {
            Some(open) => Arc::clone(&open.client),
            None => return Ok(()),
        };
        client.batch_execute(statements).await
    }

    /// Runs a statement, again and again while PostgreSQL cannot be reached. The statement must be one that may be repeated.
    pub(crate) async fn rows(
        &self,
        statement: &'static str,
        arguments: Vec<Argument>,
    ) -> Result<Vec<Row>, DirectoryError> {
        let connection = self.clone();
        let attempts = async move {
            let deadline = Instant::now() + PATIENCE;
            loop {
                let attempt = timeout(ATTEMPT, connection.attempt(statement, &arguments)).await;
                match attempt.unwrap_or(Err(Failure::TimedOut)) {
                    Ok(rows) => return Ok(rows),
                    Err(Failure::Postgres(error)) if is_final(&error) || Instant::now() >= deadline => {
                        return Err(DirectoryError::unavailable(error));
                    }
                    Err(Failure::TimedOut) if Instant::now() >= deadline => {
                        return Err(DirectoryError::unavailable("PostgreSQL does not answer"));
                    }
                    Err(failure) => {
                        if matches!(failure, Failure::TimedOut) {
                            // It may be lost without notice.
                            *connection.open.lock().await = None;
                        }
                        sleep(PAUSE).await;
                    }
                }
            }
        };
        // The runtime has ended if there is no outcome.
        self.runtime.spawn(attempts).await.unwrap_or(Err(DirectoryError::Stopped))
    }

    async fn attempt(&self, statement: &'static str, arguments: &[Argument]) -> Result<Vec<Row>, Failure> {
        let (client, prepared) = {
            let mut open = self.open.lock().await;
            if open.as_ref().is_none_or(|open| open.client.is_closed()) {
                *open = Some(self.connect().await?);
            }
            let Some(open) = open.as_mut() else { return Err(Failure::TimedOut) };
            if !open.statements.contains_key(statement) {
                let prepared = open.client.prepare(statement).await?;
                open.statements.insert(statement, prepared);
            }
            (Arc::clone(&open.client), open.statements[statement].clone())
        };
        let arguments: Vec<_> = arguments.iter().map(|argument| &**argument as &(dyn ToSql + Sync)).collect();
        Ok(client.query(&prepared, &arguments).await?)
    }
}

/// Returns whether another attempt would fail as this one did. A server that starts or stops says so.
fn is_final(error: &Error) -> bool {
    let again = [
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::TOO_MANY_CONNECTIONS,
    ];
    error.code().is_some_and(|code| !again.contains(code))
}
