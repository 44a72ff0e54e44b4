//! What a conversation writes: answers of its machine, with the faults that are due.

use core::mem;
use core::time::Duration;

use chappe_framing::FrameBuf;
use chappe_session::Now;
use chappe_transport::http::Persistence;
use chappe_transport::{AckRequest, TransportErrorCode};

use super::{Conversation, State, Write};
use crate::Output;
use crate::counters::add;
use crate::faults::Fault;
use crate::kit::Kit;
use chappe_carrier::LinkError;
use chappe_carrier::SharedStack;

impl Conversation {
    /// Returns what to do next.
    ///
    /// # Errors
    ///
    /// A layer beneath the transport is broken; the connection must be closed.
    pub fn poll_write<'a>(&'a mut self, now: Now, kit: &'a mut Kit) -> Result<Write<'a>, LinkError> {
        if mem::take(&mut self.is_written) {
            kit.out.clear();
        }
        self.take_answers(kit);
        if kit.out.is_empty() && !self.is_ending {
            match self.state {
                State::Stream(_) => return self.poll_stream(now, kit),
                State::Http(_) => self.poll_http(now, kit)?,
                State::Arriving(_) if self.is_draining => self.is_ending = true,
                State::Arriving(_) | State::Over => {}
            }
        }
        Ok(self.write_out(kit))
    }

    /// Takes over what stands in between has to say by itself.
    fn take_answers(&self, kit: &mut Kit) {
        if let State::Stream(talk) = &self.state
            && let Some(shared) = talk.outgoing.carrier()
        {
            take_carried(shared, &mut kit.out);
        }
    }

    fn write_out<'a>(&mut self, kit: &'a Kit) -> Write<'a> {
        if !kit.out.is_empty() {
            add(&self.place.tally().bytes_out, kit.out.len());
            self.is_written = true;
            return Write::Bytes(&kit.out);
        }
        if self.is_ending { Write::End } else { Write::Nothing }
    }

    fn poll_stream<'a>(&'a mut self, now: Now, kit: &'a mut Kit) -> Result<Write<'a>, LinkError> {
        if let Some(mut late) = self.delayed.take() {
            self.encode(&mut late, kit)?;
            return Ok(self.write_out(kit));
        }
        let State::Stream(talk) = &mut self.state else { return Ok(Write::Nothing) };
        let (number, is_direct) = (talk.machine.number(), talk.outgoing.carrier().is_none());
        match talk.machine.poll_output(now, &mut kit.rng, &mut kit.frame) {
            None if self.is_draining && !talk.machine.is_busy() => self.end(kit),
            None => return Ok(Write::Nothing),
            Some(Output::QuickAck(token)) => {
                let bytes = talk.outgoing.quick_ack(token, &mut kit.rng)?;
                kit.out.extend_from_slice(bytes);
            }
            Some(Output::Error(code)) => self.end_with(code, kit)?,
            Some(Output::Close) => self.end(kit),
            Some(Output::Frame) => {
                let fault = self.faults.outgoing(number);
                if fault.is_none() && self.swapped.is_none() && is_direct {
                    return self.write_frame(kit);
                }
                if let Some(pause) = self.send_frame(fault.as_ref(), kit)? {
                    return Ok(Write::Pause(pause));
                }
            }
        }
        self.take_answers(kit);
        if kit.out.is_empty() && !self.is_ending {
            // A fault swallowed the envelope; there may be more.
            return Ok(Write::Bytes(&[]));
        }
        Ok(self.write_out(kit))
    }

    /// Has the envelope in `frame` written where it lies.
    fn write_frame<'a>(&'a mut self, kit: &'a mut Kit) -> Result<Write<'a>, LinkError> {
        let State::Stream(talk) = &mut self.state else { return Err(LinkError::Closed) };
        let bytes = talk.outgoing.encode(&mut kit.frame, AckRequest::No, &mut kit.rng)?;
        let tally = self.place.tally();
        add(&tally.payloads_out, 1);
        add(&tally.bytes_out, bytes.len());
        Ok(Write::Bytes(bytes))
    }

    /// Sends the envelope in `frame` with the fault that is due; says if there is a pause before it.
    fn send_frame(&mut self, fault: Option<&Fault>, kit: &mut Kit) -> Result<Option<Duration>, LinkError> {
        let mut frame = mem::take(&mut kit.frame);
        if let Some(fault) = fault {
            tracing::debug!(?fault, "injected");
        }
        match fault {
            None => {
                self.encode(&mut frame, kit)?;
                if let Some(mut swapped) = self.swapped.take() {
                    self.encode(&mut swapped, kit)?;
                }
            }
            Some(Fault::Drop) => {}
            Some(Fault::Delay(time)) => {
                self.delayed = Some(Box::new(frame));
                return Ok(Some(*time));
            }
            Some(Fault::Duplicate) => {
                let mut again = frame.clone();
                self.encode(&mut frame, kit)?;
                self.encode(&mut again, kit)?;
            }
            Some(Fault::Swap) => {
                self.swapped = Some(Box::new(frame));
                return Ok(None);
            }
            Some(Fault::CloseAfter(count)) => {
                self.encode(&mut frame, kit)?;
                self.take_answers(kit);
                kit.out.truncate(*count);
                self.is_ending = true;
                self.state = State::Over;
            }
            Some(Fault::Error(code)) => self.end_with(*code, kit)?,
        }
        kit.frame = frame;
        Ok(None)
    }

    /// Frames an envelope; the bytes wait in the kit or in what stands in between.
    fn encode(&mut self, frame: &mut FrameBuf, kit: &mut Kit) -> Result<(), LinkError> {
        let State::Stream(talk) = &mut self.state else { return Err(LinkError::Closed) };
        let bytes = talk.outgoing.encode(frame, AckRequest::No, &mut kit.rng)?;
        kit.out.extend_from_slice(bytes);
        add(&self.place.tally().payloads_out, 1);
        Ok(())
    }

    fn end_with(&mut self, code: TransportErrorCode, kit: &mut Kit) -> Result<(), LinkError> {
        if let State::Stream(talk) = &mut self.state {
            let bytes = talk.outgoing.error(code, &mut kit.rng)?;
            kit.out.extend_from_slice(bytes);
        }
        self.end(kit);
        Ok(())
    }

    /// Ends the connection once everything is written.
    fn end(&mut self, kit: &mut Kit) {
        self.is_ending = true;
        if let State::Stream(talk) = &self.state
            && let Some(shared) = talk.outgoing.carrier()
        {
            shared.lock().close();
        }
        self.take_answers(kit);
    }

    fn poll_http(&mut self, now: Now, kit: &mut Kit) -> Result<(), LinkError> {
        loop {
            let State::Http(http) = &mut self.state else { return Ok(()) };
            let (side, machine) = http.as_mut();
            if !side.is_open() {
                self.is_ending |= self.is_draining;
                return Ok(());
            }
            let persistence = match machine.poll_output(now, &mut kit.rng, &mut kit.frame) {
                Some(Output::QuickAck(_)) => continue,
                Some(Output::Frame) => match self.faults.outgoing(machine.number()) {
                    Some(Fault::Drop) => continue,
                    Some(Fault::CloseAfter(count)) => {
                        side.respond(kit.frame.as_slice(), &mut kit.out);
                        kit.out.truncate(count);
                        Persistence::Close
                    }
                    Some(Fault::Error(code)) => {
                        side.fail(code, &mut kit.out);
                        Persistence::Close
                    }
                    // Order and number of responses are those of the requests, whatever goes wrong.
                    _ => {
                        add(&self.place.tally().payloads_out, 1);
                        side.respond(kit.frame.as_slice(), &mut kit.out)
                    }
                },
                Some(Output::Error(code)) => {
                    side.fail(code, &mut kit.out);
                    Persistence::Close
                }
                Some(Output::Close) => Persistence::Close,
                None if side.is_due(now.mono) || self.is_draining => side.respond(&[], &mut kit.out),
                None => return Ok(()),
            };
            machine.release();
            if persistence == Persistence::Close {
                self.is_ending = true;
                return Ok(());
            }
            self.take_in(now, kit)?;
        }
    }
}

/// Moves what waits to be written.
fn take_carried(shared: &SharedStack, out: &mut Vec<u8>) {
    let mut carried = shared.lock();
    if out.is_empty() {
        mem::swap(out, &mut carried.out);
    } else {
        out.append(&mut carried.out);
    }
}
