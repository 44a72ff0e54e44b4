//! What a core wants done.

use chappe_framing::{FrameBuf, MsgId, MsgOrigin, plain};
use chappe_session::{HttpWait, MonoTime, Now};
use chappe_tl_mtproto::functions::ReqPqMulti;
use chappe_transport::AckRequest;
use std::time::Duration;

use super::{Core, Life, Link, LinkId, Stage};
use crate::store::handle::Work;
use crate::store::schedule::StoreSchedule;

/// How long the answer to a request over HTTP may take beyond what the request allows.
const POLL_MARGIN: Duration = Duration::from_secs(2);

/// Least time that is waited, whatever a machine says.
const LEAST_WAIT: Duration = Duration::from_millis(5);

/// What a core wants done next.
#[derive(Debug)]
pub(crate) enum Output {
    /// The buffer holds an envelope for this connection.
    Frame { link: LinkId, ack: AckRequest },
    /// Something else, which is the driver's.
    Errand(Errand),
}

/// What a driver does besides writing.
#[derive(Debug)]
pub(crate) enum Errand {
    /// Dial a candidate, and say what came of it.
    Dial { link: LinkId, candidate: usize },
    /// Close a connection, or stop dialling it.
    Close { link: LinkId },
    /// Let the store do this, and report the result with `handle_stored`. The driver goes on meanwhile.
    Store(Work),
    /// Nothing now. Ask again at this time, or after an input or a command.
    Wait(Option<MonoTime>),
    /// Nothing any more.
    Finished,
}

/// What a core wants done at once, where that needs no driver.
#[derive(Debug)]
pub(crate) enum Prompted {
    /// The buffer holds an envelope for this connection.
    Frame { link: LinkId, ack: AckRequest },
    /// Nothing, and the driver wakes up in time.
    Nothing,
    /// Something that is the driver's, or that cannot wait until it wakes up.
    NeedsDriver,
}

impl Core {
    /// Says what to do next; an envelope to send is written into `out`. To be called until it says to wait.
    pub(crate) fn poll_output(&mut self, now: Now, out: &mut FrameBuf) -> Output {
        if self.poll_timeout().is_some_and(|at| at <= now.mono) {
            self.handle_timeout(now);
        }
        loop {
            self.dial_if_due(now);
            if let Some(errand) = self.errands.pop_front() {
                return Output::Errand(errand);
            }
            if let Some(work) = self.poll_store(now) {
                return Output::Errand(Errand::Store(work));
            }
            if matches!(self.life, Life::Over(_)) {
                let is_idle = self.store.as_ref().is_none_or(StoreSchedule::is_idle);
                return Output::Errand(if is_idle { Errand::Finished } else { Errand::Wait(None) });
            }
            if self.may_end(now)
                && let Some(session) = self.session.as_deref_mut()
            {
                session.flush_acks(now);
            }
            if let Some((link, ack)) = self.poll_frame(now, out) {
                return Output::Frame { link, ack };
            }
            if self.may_end(now) {
                self.end(now);
                continue;
            }
            self.turn.asleep_until = self.poll_timeout().map(|at| at.max(now.mono + LEAST_WAIT));
            return Output::Errand(Errand::Wait(self.turn.asleep_until));
        }
    }

    /// Says what to do at once, outside the driver's turn; an envelope to send is written into `out`.
    pub(crate) fn poll_prompted(&mut self, now: Now, out: &mut FrameBuf) -> Prompted {
        let is_calm = self.errands.is_empty() && matches!(self.life, Life::Running) && !self.race.is_open();
        if !is_calm || self.is_disconnected() || self.wants_store(now) {
            return Prompted::NeedsDriver;
        }
        if let Some((link, ack)) = self.poll_frame(now, out) {
            return Prompted::Frame { link, ack };
        }
        match (self.poll_timeout(), self.turn.asleep_until) {
            (Some(at), Some(until)) if at < until => Prompted::NeedsDriver,
            (Some(_), None) => Prompted::NeedsDriver,
            _ => Prompted::Nothing,
        }
    }

    fn dial_if_due(&mut self, now: Now) {
        if !matches!(self.life, Life::Starting { .. } | Life::Running) {
            return;
        }
        if self.is_disconnected() && self.race.earliest() <= now.mono {
            self.race.begin(now.mono);
        }
        while let Some(candidate) = self.race.poll_dial(now.mono) {
            self.last_link += 1;
            let link = LinkId(self.last_link);
            self.links.push(Link { id: link, candidate, stage: Stage::Dialling, is_clogged: false });
            self.errands.push_back(Errand::Dial { link, candidate });
        }
    }

    /// Says whether there is neither a connection nor an attempt at one.
    fn is_disconnected(&self) -> bool {
        self.links.is_empty() && !self.race.is_open()
    }

    fn poll_frame(&mut self, now: Now, out: &mut FrameBuf) -> Option<(LinkId, AckRequest)> {
        for link in &mut self.links {
            if let Stage::Probing { nonce, is_asked: is_asked @ false, .. } = &mut link.stage {
                *is_asked = true;
                let msg_id = MsgId::at(now.unix, MsgOrigin::Client);
                plain::write(out, msg_id, &ReqPqMulti { nonce: *nonce }).ok()?;
                return Some((link.id, AckRequest::No));
            }
        }
        let link = self.in_use().filter(|link| !link.is_clogged)?.id;
        if self.keys.poll_transmit(now, out) {
            return Some((link, AckRequest::No));
        }
        if self.is_key_doubtful {
            return None;
        }
        self.poll_http(now);
        let transmit = self.session.as_deref_mut()?.poll_transmit(now, &mut self.rng, out)?;
        if let Some(polls) = &mut self.polls {
            polls.push_back(now.mono);
        }
        (self.turn.has_heard, self.turn.gathered) = (false, 0);
        let ack = if transmit.quick_ack.is_some() { AckRequest::Quick } else { AckRequest::No };
        Some((link, ack))
    }

    /// Over HTTP the server can say something only where a request waits: keeps one there.
    fn poll_http(&mut self, now: Now) {
        let (Some(polls), Some(session)) = (&mut self.polls, self.session.as_deref_mut()) else {
            return;
        };
        // An empty answer is not heard of; it came by then.
        while polls.front().is_some_and(|asked| *asked + poll_patience() <= now.mono) {
            polls.pop_front();
        }
        if polls.is_empty() && session.is_usable() {
            session.request_http_wait();
        }
    }

    fn poll_timeout(&mut self) -> Option<MonoTime> {
        let session =
            self.session.as_deref_mut().and_then(chappe_session::client::ClientSession::poll_timeout);
        let links = self.links.iter().filter_map(|link| match link.stage {
            Stage::Probing { deadline, .. } => Some(deadline),
            Stage::InUse { deadline } => deadline,
            Stage::Dialling => None,
        });
        let life = match self.life {
            Life::Starting { deadline, .. } | Life::Closing { deadline } => Some(deadline),
            Life::Running if self.is_proven() => None,
            Life::Running => self.options.timing.give_up.map(|patience| self.down_since + patience),
            Life::Over(_) => None,
        };
        let dial = self.is_disconnected().then(|| self.race.earliest()).or_else(|| self.race.poll_timeout());
        let poll = self.polls.as_ref().and_then(|polls| polls.front()).map(|asked| *asked + poll_patience());
        let store = self.store.as_ref().and_then(StoreSchedule::poll_timeout);
        let others = [session, life, dial, poll, store, self.keys.poll_timeout()];
        links.chain(others.into_iter().flatten()).min()
    }
}

/// How long a request over HTTP waits for news at most.
fn poll_patience() -> Duration {
    let wait = HttpWait::default().max_wait;
    Duration::from_millis(u64::from(wait.unsigned_abs())) + POLL_MARGIN
}
