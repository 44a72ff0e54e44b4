//! What all connections of a proxy share.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use chappe_carrier::lock;
use chappe_crypto::rng::Drbg;
use chappe_server::driver::ConnectionLimit;
use tokio::task::AbortHandle;

use crate::accepting::unix_time;
use crate::buffers::Buffers;
use crate::config::Config;
use crate::counters::Tally;
use crate::error::ConfigError;
use crate::settings::Settings;
use crate::user::{User, UserCounters};

/// What all connections of a proxy share.
pub(crate) struct Shared {
    current: RwLock<Arc<Current>>,
    pub(crate) limit: Arc<ConnectionLimit>,
    pub(crate) buffers: Buffers,
    pub(crate) tally: Tally,
    open: Mutex<Open>,
    seeder: Mutex<Drbg>,
}

/// The configuration in use. A connection keeps the one that it began with.
#[derive(Debug)]
pub(crate) struct Current {
    pub(crate) config: Config,
    pub(crate) settings: Settings,
    /// The users, in the order of the settings.
    pub(crate) users: Vec<Arc<User>>,
}

/// Tasks of connections by their number.
#[derive(Default)]
struct Open {
    next: u64,
    tasks: HashMap<u64, Task>,
}

#[derive(Default)]
struct Task {
    abort: Option<AbortHandle>,
    user: Option<Arc<User>>,
    is_ended: bool,
}

impl Shared {
    pub(crate) fn new(config: Config, usage: &HashMap<String, [u64; 2]>) -> Result<Self, ConfigError> {
        let settings = Settings::new(&config)?;
        let random = |error: &dyn fmt::Display| ConfigError::System(io::Error::other(error.to_string()));
        let mut seeder = Drbg::from_os().map_err(|error| random(&error))?;
        let options = settings.listen_options(&config);
        let buffers = Buffers::new(settings.limits.window);
        let users = settings.users.iter().map(|user| {
            let counters = UserCounters::default();
            let [up, down] = usage.get(&user.name).copied().unwrap_or_default();
            counters.bytes_up.store(up, std::sync::atomic::Ordering::Relaxed);
            counters.bytes_down.store(down, std::sync::atomic::Ordering::Relaxed);
            Arc::new(User::new(user.name.clone(), user.limits, Arc::new(counters)))
        });
        let users = users.collect();
        Ok(Self {
            limit: Arc::new(ConnectionLimit::new(options, seeder.fork())),
            buffers,
            tally: Tally::default(),
            open: Mutex::default(),
            seeder: Mutex::new(seeder),
            current: RwLock::new(Arc::new(Current { config, settings, users })),
        })
    }

    /// Returns the configuration in use.
    pub(crate) fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns a generator for one connection.
    pub(crate) fn rng(&self) -> Drbg {
        lock(&self.seeder).fork()
    }

    /// Takes a new configuration. Connections of users that are gone, or have another secret, end.
    pub(crate) fn reload(&self, config: Config) -> Result<(), ConfigError> {
        let settings = Settings::new(&config)?;
        let old = self.current();
        let users = settings.users.iter().map(|user| {
            let place = old.settings.users.iter().position(|known| known.name == user.name);
            let Some(place) = place else {
                return Arc::new(User::new(user.name.clone(), user.limits, Arc::default()));
            };
            let (known, is_same) =
                (&old.users[place], same(&old.settings.users[place].secrets, &user.secrets));
            if is_same {
                known.set_limits(user.limits);
                return Arc::clone(known);
            }
            Arc::new(User::new(user.name.clone(), user.limits, Arc::clone(&known.counters)))
        });
        let users: Vec<_> = users.collect();
        for known in &old.users {
            if !users.iter().any(|user| Arc::ptr_eq(user, known)) {
                known.remove();
            }
        }
        *self.current.write().unwrap_or_else(PoisonError::into_inner) =
            Arc::new(Current { config, settings, users });
        self.end_refused();
        Ok(())
    }

    /// Ends the connections of users that may have none.
    pub(crate) fn end_refused(&self) {
        let now = unix_time();
        let mut open = lock(&self.open);
        for task in open.tasks.values_mut() {
            if let Some(user) = &task.user
                && let Some(refusal) = user.refusal(now)
            {
                tracing::info!(user = user.name, ?refusal, "connection ended");
                task.end();
            }
        }
    }

    /// Ends every connection.
    pub(crate) fn end_all(&self) {
        lock(&self.open).tasks.values_mut().for_each(Task::end);
    }

    /// Registers a connection.
    pub(crate) fn register(self: &Arc<Self>) -> Registration {
        let mut open = lock(&self.open);
        let number = open.next;
        open.next += 1;
        open.tasks.insert(number, Task::default());
        Registration { shared: Arc::clone(self), number }
    }

    /// Sets the task of a connection, unless it has ended.
    pub(crate) fn set_task(&self, number: u64, abort: AbortHandle) {
        if let Some(task) = lock(&self.open).tasks.get_mut(&number) {
            task.abort = Some(abort);
            if task.is_ended {
                task.end();
            }
        }
    }

    /// Ends a connection.
    pub(crate) fn end(&self, number: u64) {
        if let Some(task) = lock(&self.open).tasks.get_mut(&number) {
            task.end();
        }
    }
}

fn same(known: &[chappe_transport::ProxySecret], new: &[chappe_transport::ProxySecret]) -> bool {
    known.len() == new.len() && known.iter().zip(new).all(|(known, new)| known.to_bytes() == new.to_bytes())
}

impl Task {
    fn end(&mut self) {
        self.is_ended = true;
        if let Some(abort) = &self.abort {
            abort.abort();
        }
    }
}

/// The entry of a connection. Dropping it removes the entry.
pub(crate) struct Registration {
    shared: Arc<Shared>,
    pub(crate) number: u64,
}

impl Registration {
    /// Notes whose connection it is, so that it ends with the user.
    pub(crate) fn set_user(&self, user: &Arc<User>) {
        if let Some(task) = lock(&self.shared.open).tasks.get_mut(&self.number) {
            task.user = Some(Arc::clone(user));
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut open = lock(&self.shared.open);
        open.tasks.remove(&self.number);
        // Give back what a flood of connections needed.
        if open.tasks.len() * 4 < open.tasks.capacity() {
            open.tasks.shrink_to(64);
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("limit", &self.limit).finish_non_exhaustive()
    }
}
