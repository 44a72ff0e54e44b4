//! A server's connection whose envelopes go wrong by a script.

use std::mem;
use std::time::Duration;

use chappe_carrier::LinkError;
use chappe_framing::FrameBuf;
use chappe_server::Output;
use chappe_server::driver::{Conversation, Machine, Scratch, WriteAction};
use chappe_session::{MonoTime, Now};

use crate::faults::{Fault, FaultScript};

/// A [`Conversation`] that loses, repeats and reorders what it sends.
pub(crate) struct FaultyConversation {
    inner: Conversation,
    script: FaultScript,
    /// The envelope that goes out next, without another fault.
    next: Option<FrameBuf>,
    /// The envelope that waits for another to go first.
    swapped: Option<FrameBuf>,
    /// Nothing is sent before this time.
    delayed_until: Option<MonoTime>,
    is_cut: bool,
}

impl FaultyConversation {
    /// Wraps a connection, or refuses it if the script says so.
    pub(crate) fn wrap(inner: Conversation, script: &FaultScript) -> Option<Self> {
        if script.refuses() {
            return None;
        }
        let (script, next, swapped) = (script.clone(), None, None);
        Some(Self { inner, script, next, swapped, delayed_until: None, is_cut: false })
    }

    /// Writes the envelope that is in `scratch`, with the fault that is due.
    fn write_faulty<'a>(
        &'a mut self,
        now: Now,
        fault: Option<&Fault>,
        scratch: &'a mut Scratch,
    ) -> Result<WriteAction<'a>, LinkError> {
        if let Some(fault) = fault {
            tracing::debug!(?fault, "injected");
        }
        let is_http = self.inner.is_http();
        match fault {
            Some(Fault::Drop) => return Ok(WriteAction::Bytes(&[])),
            Some(Fault::Delay(time)) if !is_http => {
                self.next = Some(mem::take(scratch.frame()));
                self.delayed_until = Some(now.mono + *time);
                return Ok(WriteAction::Wait);
            }
            Some(Fault::Swap) if !is_http => {
                self.swapped = Some(mem::take(scratch.frame()));
                return Ok(WriteAction::Bytes(&[]));
            }
            Some(Fault::Duplicate) if !is_http => self.next = Some(scratch.frame().clone()),
            Some(Fault::Error(code)) => return self.inner.write(now, Output::Error(*code), scratch),
            Some(Fault::CloseAfter(count)) => {
                self.is_cut = true;
                return Ok(match self.inner.write(now, Output::Frame, scratch)? {
                    WriteAction::Bytes(bytes) => WriteAction::Bytes(&bytes[..bytes.len().min(*count)]),
                    action => action,
                });
            }
            _ => self.next = self.swapped.take(),
        }
        self.inner.write(now, Output::Frame, scratch)
    }
}

impl Machine for FaultyConversation {
    fn poll_write<'a>(
        &'a mut self,
        now: Now,
        scratch: &'a mut Scratch,
    ) -> Result<WriteAction<'a>, LinkError> {
        if self.is_cut {
            return Ok(WriteAction::Close);
        }
        if self.delayed_until.is_some_and(|until| now.mono < until) {
            return Ok(WriteAction::Wait);
        }
        self.delayed_until = None;
        if let Some(frame) = self.next.take() {
            *scratch.frame() = frame;
            return self.inner.write(now, Output::Frame, scratch);
        }
        match self.inner.poll_output(now, scratch)? {
            Some(Output::Frame) => {
                let fault = self.script.take_envelope();
                self.write_faulty(now, fault.as_ref(), scratch)
            }
            Some(output) => self.inner.write(now, output, scratch),
            None => Ok(self.inner.poll_bytes(scratch)),
        }
    }

    fn poll_timeout(&self) -> MonoTime {
        let deadline = self.inner.poll_timeout();
        self.delayed_until.map_or(deadline, |until| deadline.min(until))
    }

    fn wants_input(&self) -> bool {
        self.inner.wants_input()
    }

    fn write_timeout(&self) -> Duration {
        self.inner.write_timeout()
    }

    fn space<'a>(&'a mut self, scratch: &mut Scratch) -> Result<&'a mut [u8], LinkError> {
        self.inner.space(scratch)
    }

    fn handle_read(&mut self, now: Now, scratch: &mut Scratch, count: usize) -> Result<(), LinkError> {
        self.inner.handle_read(now, scratch, count)
    }

    fn handle_timeout(&mut self, now: Now) -> Result<(), LinkError> {
        self.inner.handle_timeout(now)
    }

    fn count_slow_reader(&self) {
        self.inner.count_slow_reader();
    }

    fn drain(&mut self) {
        self.inner.drain();
    }

    fn release_memory(&mut self, scratch: &mut Scratch) {
        self.inner.release_memory(scratch);
    }
}
