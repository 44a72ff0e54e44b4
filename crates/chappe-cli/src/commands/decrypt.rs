//! `chappe decrypt`.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::path::PathBuf;

use chappe::dissect::capture::{CaptureDissector, CaptureError, PacketReader};
use chappe::dissect::{Content, Record, Unreadable};
use indicatif::ProgressBar;

use crate::failure::{Blame, OrBlame as _, Result, Status};
use crate::output::Output;
use crate::traffic::{Format, Printer, TrafficSources};

/// Text that is collected before it is printed.
const CHUNK: usize = 64 * 1024;

/// Packets between two movements of the progress bar.
const STEP: u64 = 1024;

/// Finds MTProto in a capture, and decrypts it with the keys that are given
///
/// It recognises every transport, with and without obfuscation, WebSocket, HTTP, and proxies whose secrets are given. Without
/// keys it prints the handshakes and counts what it cannot open.
///
/// For example: `chappe decrypt traffic.pcapng --key-log keys.log`,
/// `chappe decrypt traffic.pcap --session my.session --bodies`.
#[derive(clap::Args)]
pub(crate) struct Decrypt {
    /// A capture in the format pcap or pcapng; `-` is standard input
    #[arg(value_name = "CAPTURE")]
    capture: PathBuf,
    #[command(flatten)]
    sources: TrafficSources,
    /// Prints JSON as `tshark -T json` does
    #[arg(long, conflicts_with = "json")]
    tshark_json: bool,
}

/// What was found in all.
#[derive(Default)]
struct Counts {
    transports: u64,
    others: u64,
    messages: u64,
    sealed: u64,
    damaged: u64,
    lost: u64,
}

impl Decrypt {
    pub(crate) fn run(&self, output: &mut Output) -> Result<Status> {
        let format = match (self.tshark_json, output.is_json()) {
            (true, _) => Format::Tshark,
            (false, true) => Format::Json,
            (false, false) => Format::Text,
        };
        let (dissector, printer) = (self.sources.dissector()?, self.sources.printer(format)?);
        let (file, len): (Box<dyn Read + Send>, u64) = if self.capture.as_os_str() == "-" {
            (Box::new(io::stdin()), 0)
        } else {
            let name = self.capture.display();
            let file =
                File::open(&self.capture).or_blame(Blame::Input, format_args!("cannot read {name}"))?;
            let len = file.metadata().map_or(0, |data| data.len());
            (Box::new(file), len)
        };
        // Lines and a bar would mix on one terminal.
        let bar =
            if len == 0 || io::stdout().is_terminal() { ProgressBar::hidden() } else { output.progress(len) };
        let mut run = Run {
            capture: CaptureDissector::new(dissector),
            printer,
            counts: Counts::default(),
            text: String::new(),
        };
        let packets = run.read(file, &bar, output)?;
        bar.finish_and_clear();
        // What is in front of a damaged place is shown all the same.
        run.end(output)?;
        let packets = packets.or_blame(Blame::Input, self.capture.display())?;
        run.tell(packets, self.sources.all, output);
        Ok(Status::Done)
    }
}

struct Run {
    capture: CaptureDissector,
    printer: Printer,
    counts: Counts,
    text: String,
}

impl Run {
    /// Reads all packets and returns their number.
    fn read(
        &mut self,
        file: Box<dyn Read + Send>,
        bar: &ProgressBar,
        output: &mut Output,
    ) -> Result<Result<u64, CaptureError>> {
        let mut reader = match PacketReader::new(file) {
            Ok(reader) => reader,
            Err(error) => return Ok(Err(error)),
        };
        loop {
            let number = match reader.next_packet() {
                Ok(Some(packet)) => {
                    self.capture.handle_packet(&packet);
                    packet.number
                }
                Ok(None) => return Ok(Ok(reader.packets())),
                Err(error) => return Ok(Err(error)),
            };
            self.print(output)?;
            if number.is_multiple_of(STEP) {
                bar.set_position(reader.position());
            }
        }
    }

    /// Dissects and prints what is left.
    fn end(&mut self, output: &mut Output) -> Result<()> {
        self.capture.finish();
        self.print(output)?;
        self.printer.finish(&mut self.text);
        output.raw(&self.text)
    }

    fn print(&mut self, output: &mut Output) -> Result<()> {
        while let Some(record) = self.capture.poll_record() {
            self.counts.add(&record);
            self.printer.print(&record, self.capture.ends(record.connection), &mut self.text);
            if self.text.len() > CHUNK {
                output.raw(&self.text)?;
                self.text.clear();
            }
        }
        Ok(())
    }

    /// Prints the totals.
    fn tell(&self, packets: u64, all: bool, output: &mut Output) {
        let Counts { transports, others, messages, sealed, damaged, lost } = self.counts;
        let connections = self.capture.connections();
        output.note(&format!(
            "{packets} packets, {connections} connections, {transports} with MTProto, {messages} messages"
        ));
        if sealed > 0 {
            output.note(&format!(
                "{sealed} envelopes need keys that were not given: see --key-log and --session"
            ));
        }
        if damaged > 0 {
            output.note(&format!("{damaged} envelopes did not open with their keys"));
        }
        if lost > 0 {
            output.note(&format!("{lost} bytes are missing in the capture"));
        }
        if others > 0 && !all {
            output.note(&format!("{others} connections carry no MTProto, or need a secret of a proxy: see --all and --secret-file"));
        }
        if self.capture.segments() == 0 && packets > 0 {
            output.note("no packet is TCP over IP on a link layer that is known");
        }
    }
}

impl Counts {
    fn add(&mut self, record: &Record) {
        match &record.content {
            Content::Transport(_) => self.transports += 1,
            Content::Message(_) => self.messages += 1,
            Content::Sealed { error: None, .. } => self.sealed += 1,
            Content::Sealed { error: Some(_), .. } => self.damaged += 1,
            Content::Lost { len } => self.lost += len,
            Content::Unreadable(Unreadable::Tls | Unreadable::OtherHttp | Unreadable::Unrecognised) => {
                self.others += 1;
            }
            _ => {}
        }
    }
}
