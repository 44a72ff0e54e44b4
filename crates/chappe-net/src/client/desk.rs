//! Where frames are made and written: by the driver, or at once by whoever has something to say.
//!
//! A call that finds its connection silent need not wait for the driver's turn: its frame is written where the call is
//! made. So are acknowledgements where a frame was read. What the socket does not take at once is the driver's, and so is
//! all that follows on that connection until it is written.
//!
//! **Order of locks:** the desk's before the core's.

use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::Duration;

use chappe_crypto::rng::Drbg;
use chappe_framing::FrameBuf;
use chappe_session::MonoTime;
use chappe_transport::{AckRequest, Framing};

use super::core::{Errand, LinkId, Output, Prompted};
use super::shared::{Shared, Wake, tail_of};
use chappe_carrier::{LinkError, Wait};

/// The writing half of a connection, which does not wait.
pub(crate) trait Port: Send {
    /// Frames an envelope in its own buffer and writes what is taken at once; keeps the rest.
    fn try_send(&mut self, frame: &mut FrameBuf, ack: AckRequest, rng: &mut Drbg) -> Result<(), LinkError>;

    /// Writes what is taken now of what was kept; returns how many bytes are left.
    fn try_flush(&mut self) -> Result<usize, LinkError>;

    /// Returns how long the peer may take nothing of what is written.
    fn patience(&self) -> Duration;

    /// Returns the framing.
    fn framing(&self) -> Framing;
}

/// The connections of a client, as far as they are written to, and what frames are made with.
pub(crate) struct Desk<P> {
    places: Vec<Place<P>>,
    frame: FrameBuf,
    rng: Drbg,
}

struct Place<P> {
    link: LinkId,
    port: P,
    /// Since when so many bytes are kept of which the peer takes nothing.
    clogged: Option<(MonoTime, usize)>,
}

impl<P: Port> Desk<P> {
    pub(crate) fn new(rng: Drbg) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self { places: Vec::new(), frame: FrameBuf::new(), rng }))
    }

    /// Takes in a connection that stands, if the core still wants it; says whether it does.
    pub(crate) fn admit(&mut self, shared: &Shared, link: LinkId, port: P) -> bool {
        let tail = tail_of(port.framing());
        let is_wanted = shared.with(|core, now| core.handle_dialled(now, link, tail));
        if is_wanted {
            self.places.push(Place { link, port, clogged: None });
        }
        is_wanted
    }

    /// Gives a connection out, to be closed.
    pub(crate) fn remove(&mut self, link: LinkId) -> Option<P> {
        let place = self.places.iter().position(|place| place.link == link)?;
        Some(self.places.swap_remove(place).port)
    }

    /// Returns the connections that do not take what was written.
    pub(crate) fn clogged(&self) -> impl Iterator<Item = &P> {
        self.places.iter().filter(|place| place.clogged.is_some()).map(|place| &place.port)
    }

    /// Writes what there is to be written, and returns what the driver must do then.
    pub(crate) fn poll_errand(&mut self, shared: &Shared) -> Errand {
        self.flush(shared);
        loop {
            let frame = &mut self.frame;
            match shared.with(|core, now| core.poll_output(now, frame)) {
                Output::Frame { link, ack } => self.write(shared, link, ack),
                Output::Errand(Errand::Wait(at)) => {
                    return Errand::Wait(at.into_iter().chain(self.deadline()).min());
                }
                Output::Errand(errand) => return errand,
            }
        }
    }

    /// Writes what there is to be written at once; says whether the driver is needed.
    fn prompt(&mut self, shared: &Shared) -> bool {
        loop {
            let frame = &mut self.frame;
            match shared.with(|core, now| core.poll_prompted(now, frame)) {
                Prompted::Frame { link, ack } => self.write(shared, link, ack),
                Prompted::Nothing => return self.clogged().next().is_some(),
                Prompted::NeedsDriver => return true,
            }
        }
    }

    fn write(&mut self, shared: &Shared, link: LinkId, ack: AckRequest) {
        let Some(place) = self.places.iter_mut().find(|place| place.link == link) else {
            return;
        };
        let sent = place.port.try_send(&mut self.frame, ack, &mut self.rng);
        let flushed = sent.and_then(|()| place.port.try_flush());
        place.look(flushed, shared);
        // One large frame is no reason to hold its memory for ever.
        if self.frame.len() > KEPT_FRAME {
            self.frame.clear();
            self.frame.shrink_to(KEPT_FRAME);
        }
    }

    /// Tries again where something is kept.
    fn flush(&mut self, shared: &Shared) {
        for place in self.places.iter_mut().filter(|place| place.clogged.is_some()) {
            let flushed = place.port.try_flush();
            place.look(flushed, shared);
        }
    }

    /// Returns when a peer will have refused for too long.
    fn deadline(&self) -> Option<MonoTime> {
        let deadline = |place: &Place<P>| place.clogged.map(|(since, _)| since + place.port.patience());
        self.places.iter().filter_map(deadline).min()
    }
}

impl<P: Port> Place<P> {
    /// Tells the core what came of an attempt to write.
    fn look(&mut self, flushed: Result<usize, LinkError>, shared: &Shared) {
        if matches!(flushed, Ok(0)) && self.clogged.is_none() {
            return;
        }
        let (link, patience) = (self.link, self.port.patience());
        shared.with(|core, now| {
            match (flushed, self.clogged) {
                (Ok(0), _) => self.clogged = None,
                (Ok(left), Some((since, kept))) if left >= kept => {
                    if since + patience <= now.mono {
                        let late = LinkError::TimedOut { waiting_for: Wait::Write, after: patience };
                        core.handle_lost(now, link, late);
                    }
                }
                // Slowly is not never.
                (Ok(left), _) => self.clogged = Some((now.mono, left)),
                (Err(error), _) => core.handle_lost(now, link, error),
            }
            core.set_clogged(link, self.clogged.is_some());
        });
    }
}

/// Memory that the buffer of frames keeps: a part of a file on its way up.
const KEPT_FRAME: usize = 1 << 20;

/// Wakes a driver, or spares it.
pub(crate) struct Waker<P> {
    pub(crate) desk: Arc<Mutex<Desk<P>>>,
    pub(crate) wake: Box<dyn Fn() + Send + Sync>,
}

impl<P: Port> Wake for Waker<P> {
    fn wake(&self) {
        (self.wake)();
    }

    fn prompt(&self, shared: &Shared) {
        let needs_driver = match self.desk.try_lock() {
            Ok(mut desk) => desk.prompt(shared),
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner().prompt(shared),
            // Whoever is there may have looked already.
            Err(TryLockError::WouldBlock) => true,
        };
        if needs_driver {
            self.wake();
        }
    }
}

/// A panic elsewhere must not stop the connection: what is guarded is whole between any two statements that can panic.
pub(crate) fn lock<P>(desk: &Mutex<Desk<P>>) -> std::sync::MutexGuard<'_, Desk<P>> {
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}
