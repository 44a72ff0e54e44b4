//! Decoding and encoding answers, ours and others.

mod objects;
mod value;

use std::hint::black_box;

use anyhow::{Result, anyhow};
use chappe_tl::Serializable as _;
use chappe_tl::table::Arena;
use chappe_tl_api::enums as ours;
use chappe_tl_parser::Schema;
use grammers_tl_types::{Deserializable as _, Serializable as _, enums as grammers};
use layer_tl_types::{Deserializable as _, Serializable as _, enums as layer};

use crate::{
    allocations,
    harness::{Case, Settings, Spread, measure},
    report::{Bound, Report},
};
use value::Object;

const PEERS: &[&str] = &["grammers-tl-types", "layer-tl-types"];

const OURS: &str = "chappe";
const GRAMMERS: &str = "grammers-tl-types";
const LAYER: &str = "layer-tl-types";

const NOTES: &str = "\
Every library gets the same content in the encoding of its own layer, without fields that the layer does not have.
Decoding includes dropping the result; chappe decodes into an arena that is reset. Encoding writes to a buffer that is
reused. Before the measurement, each library must reproduce the bytes it decoded.
";

/// The schemas: of our own layer, which is that of grammers, and of layer's.
struct Schemas {
    ours: Schema,
    layer: Schema,
}

impl Schemas {
    fn read() -> Result<Self> {
        let read = |path: &str| {
            let text = std::fs::read_to_string(path)?;
            chappe_tl_parser::parse(path, &text).map_err(|errors| anyhow!("{errors}"))
        };
        let ours = read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tl-schema/api.tl"))?;
        Ok(Self { ours, layer: read(env!("BENCH_LAYER_SCHEMA"))? })
    }
}

/// What an object must keep to.
struct Bounds {
    title: &'static str,
    object: Object,
    decode_grammers: Option<f64>,
    decode_layer: Option<f64>,
    has_encode: bool,
}

/// Measures everything.
///
/// # Errors
///
/// Fails if a library cannot read what it is given.
pub fn run(settings: &Settings) -> Result<Report> {
    let schemas = Schemas::read()?;
    let mut report = Report::new("TL codec", PEERS, NOTES);
    macro_rules! object {
        ($ours:ty, $($kind:ident)::+, $title:literal, $object:expr, $decode:expr, $has_encode:literal) => {{
            let (decode_grammers, decode_layer) = $decode;
            let bounds = Bounds {
                title: $title,
                object: $object,
                decode_grammers,
                decode_layer,
                has_encode: $has_encode,
            };
            if settings.wants(bounds.title) {
                object!(@ $ours, $($kind)::+, bounds);
            }
        }};
        (@ $ours:ty, $($kind:ident)::+, $bounds:ident) => {{
            let own = $bounds.object.bytes(&schemas.ours);
            let old = $bounds.object.bytes(&schemas.layer);
            let arena = Arena::new();
            let a = *arena.decode::<$ours>(&own)?;
            let b = grammers::$($kind)::+::from_bytes(&own).map_err(|error| anyhow!("grammers: {error}"))?;
            let c = layer::$($kind)::+::from_bytes(&old).map_err(|error| anyhow!("layer: {error}"))?;
            anyhow::ensure!(a.to_bytes() == own && b.to_bytes() == own && c.to_bytes() == old);
            let title = format!("decode {}", $bounds.title);
            let mut warm = Arena::new();
            let mut decode = || {
                warm.reset();
                black_box(warm.decode::<$ours>(black_box(&own)).is_ok());
            };
            decode();
            let calls = allocations::of(&mut decode);
            let cases = vec![
                Case::new(OURS, own.len(), decode),
                Case::new(GRAMMERS, own.len(), || {
                    black_box(grammers::$($kind)::+::from_bytes(black_box(&own)).is_ok());
                }),
                Case::new(LAYER, old.len(), || {
                    black_box(layer::$($kind)::+::from_bytes(black_box(&old)).is_ok());
                }),
            ];
            let group = measure(settings, &title, cases);
            let speed = |peer| format!("{title}: speed / {peer}");
            if let Some(least) = $bounds.decode_grammers {
                report.target("T12", speed(GRAMMERS), Bound::AtLeast(least), group.ratio(OURS, GRAMMERS));
            }
            if let Some(least) = $bounds.decode_layer {
                report.target("T12", speed(LAYER), Bound::AtLeast(least), group.ratio(OURS, LAYER));
            }
            report.target("T12", format!("{title}: allocations"), Bound::AtMost(0.0), exactly(calls));
            report.group(group);

            if $bounds.has_encode {
                let title = format!("encode {}", $bounds.title);
                let (mut one, mut two, mut three) = (Vec::new(), Vec::new(), Vec::new());
                let (mut first, mut second, mut third) = (Places::of(&own), Places::of(&own), Places::of(&old));
                let mut encode = || {
                    one.truncate(first.next());
                    black_box(black_box(&a).serialize(&mut one).is_ok());
                };
                // A call for each place, so that the buffer has its full length.
                (0..PLACES).for_each(|_| encode());
                let calls = allocations::of(&mut encode);
                let cases = vec![
                    Case::new(OURS, own.len(), encode),
                    Case::new(GRAMMERS, own.len(), || {
                        two.truncate(second.next());
                        black_box(&b).serialize(&mut two);
                        black_box(&two);
                    }),
                    Case::new(LAYER, old.len(), || {
                        three.truncate(third.next());
                        black_box(&c).serialize(&mut three);
                        black_box(&three);
                    }),
                ];
                let group = measure(settings, &title, cases);
                let speed = |peer| format!("{title}: speed / {peer}");
                report.target("T13", speed(GRAMMERS), Bound::AtLeast(0.95), group.ratio(OURS, GRAMMERS));
                report.target("T13", speed(LAYER), Bound::AtLeast(1.5), group.ratio(OURS, LAYER));
                report.target("T13", format!("{title}: allocations"), Bound::AtMost(0.0), exactly(calls));
                let calls = allocations::of(|| drop(black_box(a.to_bytes())));
                let work = format!("{}, `to_bytes`: allocations", $bounds.title);
                report.target("T13", work, Bound::AtMost(1.0), exactly(calls));
                report.group(group);
            }
        }};
    }
    object!(
        ours::messages::Messages<'_>,
        messages::Messages,
        "messages.messages, 100 messages",
        objects::messages(),
        (Some(3.0), Some(2.5)),
        true
    );
    object!(
        ours::Updates<'_>,
        Updates,
        "updates, 20 of them",
        objects::updates(),
        (Some(4.0), Some(3.5)),
        true
    );
    object!(
        ours::messages::AffectedMessages,
        messages::AffectedMessages,
        "messages.affectedMessages",
        objects::affected(),
        (None, None),
        true
    );
    object!(
        ours::upload::File<'_>,
        upload::File,
        "upload.file, 512 KiB",
        objects::file(),
        (Some(100.0), None),
        false
    );
    Ok(report)
}

/// Where in a page an object is written to, in turn.
const PLACES: usize = 8;

/// Lets an object be written to other places of the same buffer in turn.
///
/// A processor may take what it writes and what it then reads for the same if both stand at the same place of a page, and
/// wait. Whether they do is decided by where the allocator puts the buffer, once for a whole run; runs differed much,
/// and this is the likely reason. Here every call is another one of eight such decisions, the same for all libraries.
struct Places {
    turn: usize,
    /// Bytes between two places: an eighth of a page, or nothing if the object is too small to leave so many bytes behind.
    step: usize,
}

impl Places {
    fn of(object: &[u8]) -> Self {
        let page = 4096;
        Self { turn: 0, step: if object.len() < page { 0 } else { page / PLACES } }
    }

    /// How many bytes of what was written last stand in front of what is written next.
    fn next(&mut self) -> usize {
        self.turn = (self.turn + 1) % PLACES;
        self.turn * self.step
    }
}

/// A count, which no round spreads.
fn exactly(count: usize) -> Spread {
    Spread::of(vec![count as f64])
}
