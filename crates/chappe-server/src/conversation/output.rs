//! What a conversation writes.

use core::mem;

use chappe_carrier::{Carried, LinkError};
use chappe_session::Now;
use chappe_transport::AckRequest;
use chappe_transport::http::Persistence;

use super::{Conversation, HttpState, Phase, State, WriteAction};
use crate::Output;
use crate::counters::add;
use crate::scratch::Scratch;

impl Conversation {
    /// Returns what to write. Call it again until it returns [`WriteAction::Wait`].
    ///
    /// # Errors
    ///
    /// A layer beneath the transport is broken; the connection must be closed.
    pub fn poll_write<'a>(
        &'a mut self,
        now: Now,
        scratch: &'a mut Scratch,
    ) -> Result<WriteAction<'a>, LinkError> {
        match self.poll_output(now, scratch)? {
            Some(output) => self.write(now, output, scratch),
            None => Ok(self.poll_bytes(scratch)),
        }
    }

    /// Returns the next output of the engine's connection, an envelope in [`Scratch::frame`]; pass it to
    /// [`write`](Self::write). Returns `None` while there are bytes to write, or nothing to send:
    /// [`poll_bytes`](Self::poll_bytes) tells which.
    ///
    /// With `write` and `poll_bytes` this is [`poll_write`](Self::poll_write) in steps, for a driver that looks at
    /// envelopes.
    ///
    /// # Errors
    ///
    /// As [`poll_write`](Self::poll_write).
    pub fn poll_output(&mut self, now: Now, scratch: &mut Scratch) -> Result<Option<Output>, LinkError> {
        if self.permit.is_evicted() {
            return Err(LinkError::TooMany { limit: self.permit.options().max_connections });
        }
        self.begin(scratch);
        self.resume(now, scratch)?;
        if !scratch.out.is_empty() {
            return Ok(None);
        }
        match (&mut self.state, self.phase) {
            (_, Phase::Closing) | (State::Ended, _) => Ok(None),
            (State::Accepting(_), phase) => {
                if phase == Phase::Draining {
                    self.phase = Phase::Closing;
                }
                Ok(None)
            }
            (State::Stream(stream), phase) => {
                let output = stream.machine.poll_output(now, &mut scratch.rng, &mut scratch.frame);
                if output.is_none() && phase == Phase::Draining && !stream.machine.is_busy() {
                    self.close(scratch);
                }
                Ok(output)
            }
            (State::Http(_), _) => self.poll_http(now, scratch),
        }
    }

    /// Returns the bytes of an output.
    ///
    /// # Errors
    ///
    /// As [`poll_write`](Self::poll_write).
    pub fn write<'a>(
        &'a mut self,
        now: Now,
        output: Output,
        scratch: &'a mut Scratch,
    ) -> Result<WriteAction<'a>, LinkError> {
        self.begin(scratch);
        match &self.state {
            State::Stream(stream) if output == Output::Frame && stream.writer.carrier().is_none() => {
                return self.write_frame(scratch);
            }
            State::Stream(_) => self.write_to_stream(output, scratch)?,
            State::Http(_) => self.write_response(now, output, scratch)?,
            State::Accepting(_) | State::Ended => {}
        }
        self.take_layer_bytes(scratch);
        if scratch.out.is_empty() && self.phase != Phase::Closing {
            // The full transport has no quick acks. There may be more to send.
            return Ok(WriteAction::Bytes(&[]));
        }
        Ok(self.poll_bytes(scratch))
    }

    /// Returns the bytes that are to be written now.
    pub fn poll_bytes<'a>(&mut self, scratch: &'a Scratch) -> WriteAction<'a> {
        if !scratch.out.is_empty() {
            add(&self.permit.tally().bytes_out, scratch.out.len());
            self.is_written = true;
            return WriteAction::Bytes(&scratch.out);
        }
        if self.phase == Phase::Closing { WriteAction::Close } else { WriteAction::Wait }
    }

    /// Drops what was written, and takes what the layers beneath have to send on their own.
    fn begin(&mut self, scratch: &mut Scratch) {
        if mem::take(&mut self.is_written) {
            scratch.out.clear();
        }
        self.take_layer_bytes(scratch);
    }

    fn take_layer_bytes(&mut self, scratch: &mut Scratch) {
        if let State::Stream(stream) = &mut self.state
            && let Some(carried) = stream.writer.carrier_mut()
        {
            take_carried(carried, &mut scratch.out);
        }
    }

    /// Writes the envelope in place: without a layer beneath, its buffer is what goes to the socket.
    fn write_frame<'a>(&'a mut self, scratch: &'a mut Scratch) -> Result<WriteAction<'a>, LinkError> {
        let State::Stream(stream) = &mut self.state else { return Err(LinkError::Closed) };
        let bytes = stream.writer.encode(&mut scratch.frame, AckRequest::No, &mut scratch.rng)?;
        let tally = self.permit.tally();
        add(&tally.payloads_out, 1);
        add(&tally.bytes_out, bytes.len());
        Ok(WriteAction::Bytes(bytes))
    }

    fn write_to_stream(&mut self, output: Output, scratch: &mut Scratch) -> Result<(), LinkError> {
        let State::Stream(stream) = &mut self.state else { return Err(LinkError::Closed) };
        let bytes = match output {
            Output::Frame => {
                add(&self.permit.tally().payloads_out, 1);
                stream.writer.encode(&mut scratch.frame, AckRequest::No, &mut scratch.rng)?
            }
            Output::QuickAck(token) => stream.writer.quick_ack(token, &mut scratch.rng)?,
            Output::Error(code) => stream.writer.error(code, &mut scratch.rng)?,
            Output::Close => &[],
        };
        scratch.out.extend_from_slice(bytes);
        if matches!(output, Output::Error(_) | Output::Close) {
            self.close(scratch);
        }
        Ok(())
    }

    /// Closes the connection once everything is written.
    fn close(&mut self, scratch: &mut Scratch) {
        self.phase = Phase::Closing;
        if let State::Stream(stream) = &mut self.state
            && let Some(carried) = stream.writer.carrier_mut()
        {
            carried.close();
        }
        self.take_layer_bytes(scratch);
    }

    fn poll_http(&mut self, now: Now, scratch: &mut Scratch) -> Result<Option<Output>, LinkError> {
        loop {
            let State::Http(http) = &mut self.state else { return Ok(None) };
            let HttpState { side, machine } = http.as_mut();
            let is_draining = self.phase == Phase::Draining;
            if !side.is_open() && !machine.is_over() {
                if is_draining {
                    self.phase = Phase::Closing;
                }
                return Ok(None);
            }
            match machine.poll_output(now, &mut scratch.rng, &mut scratch.frame) {
                // HTTP has no quick acks.
                Some(Output::QuickAck(_)) => {}
                Some(output) => return Ok(Some(output)),
                // A request has one response, which another thread computes.
                None if machine.awaits_handshake() || machine.is_waiting() => return Ok(None),
                None if side.is_due(now.mono) || is_draining => {
                    let persistence = side.respond(&[], &mut scratch.out);
                    self.end_response(now, persistence, scratch)?;
                    return Ok(None);
                }
                None => return Ok(None),
            }
        }
    }

    fn write_response(&mut self, now: Now, output: Output, scratch: &mut Scratch) -> Result<(), LinkError> {
        let State::Http(http) = &mut self.state else { return Err(LinkError::Closed) };
        let side = &mut http.side;
        let persistence = match output {
            Output::QuickAck(_) => return Ok(()),
            Output::Frame => {
                add(&self.permit.tally().payloads_out, 1);
                side.respond(scratch.frame.as_slice(), &mut scratch.out)
            }
            Output::Error(code) => {
                side.fail(code, &mut scratch.out);
                Persistence::Close
            }
            Output::Close => Persistence::Close,
        };
        self.end_response(now, persistence, scratch)
    }

    /// Lets another connection of the session answer next, and handles the next request.
    fn end_response(
        &mut self,
        now: Now,
        persistence: Persistence,
        scratch: &mut Scratch,
    ) -> Result<(), LinkError> {
        if let Some(machine) = self.machine() {
            machine.release();
        }
        if persistence == Persistence::Close {
            self.phase = Phase::Closing;
            return Ok(());
        }
        self.handle_payloads(now, scratch)
    }
}

/// Moves the bytes of the layers to `out`.
fn take_carried(carried: &mut Carried, out: &mut Vec<u8>) {
    if out.is_empty() {
        mem::swap(out, &mut carried.out);
    } else {
        out.append(&mut carried.out);
    }
}
