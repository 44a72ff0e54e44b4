//! Messages through a session: out and in, alone and ten in a container, and beside calls that wait.

mod ours;
mod peers;
mod pen;

use std::hint::black_box;

use ours::Ours;
use peers::{Ferogram, Grammers, Layer};

use crate::harness::{Case, Settings, measure};
use crate::report::{Bound, Report};

const PEERS: &[&str] = &["grammers-mtproto", "layer-mtproto", "ferogram-mtproto"];
const NOTES: &str = "\
Bodies of 100 bytes, 64 messages at a time. Out: a call is accepted, sealed and kept until its answer arrives. In: an
answer is opened, checked, matched with its call and returned. The peers do less: none keeps calls here, and grammers does
not check for duplicates. chappe reads the clock for each packet, the peers for those they send. layer and ferogram return
a container unopened.
";
const OURS: &str = "chappe";
const GRAMMERS: &str = "grammers-mtproto";
const LAYER: &str = "layer-mtproto";
const FEROGRAM: &str = "ferogram-mtproto";

/// Messages between two readings of the benchmark's clock, and calls under way at most: of ten in a container, six
/// containers.
const AT_ONCE: usize = 64;

/// Measures everything.
pub fn run(settings: &Settings) -> Report {
    let mut report = Report::new("Sessions", PEERS, NOTES);
    out(settings, &mut report, "out, one call in a packet", 1, 2.3);
    out(settings, &mut report, "out, ten calls in a container", 10, 2.0);
    received(settings, &mut report, "in, one answer in a packet", 1, 2.0);
    received(settings, &mut report, "in, ten answers in a container", 10, 3.0);
    beside_pending(settings, &mut report);
    report
}

fn out(settings: &Settings, report: &mut Report, title: &str, each: usize, least: f64) {
    if !settings.wants(title) {
        return;
    }
    let packets = AT_ONCE / each;
    let bytes = packets * each * pen::BODY.len();
    let mut cases = vec![
        Case::prepared(OURS, bytes, Ours::new(0), Ours::settle, |ours| {
            (0..packets).for_each(|_| ours.send(each))
        }),
        Case::prepared(
            GRAMMERS,
            bytes,
            Grammers::new(),
            |_| {},
            |peer| {
                (0..packets).for_each(|_| peer.send(each));
            },
        ),
    ];
    if each == 1 {
        cases.push(Case::prepared(
            LAYER,
            bytes,
            Layer::new(1, 1),
            |_| {},
            |peer| {
                for _ in 0..packets {
                    black_box(peer.send());
                }
            },
        ));
        cases.push(Case::prepared(
            FEROGRAM,
            bytes,
            Ferogram::new(1, 1),
            |_| {},
            |peer| {
                for _ in 0..packets {
                    black_box(peer.send());
                }
            },
        ));
    }
    let group = measure(settings, title, cases);
    let speed = |peer: &str| format!("{title}: speed / {peer}");
    report.target("T15", speed(GRAMMERS), Bound::AtLeast(least), group.ratio(OURS, GRAMMERS));
    report.group(group);
}

fn received(settings: &Settings, report: &mut Report, title: &str, each: usize, least: f64) {
    if !settings.wants(title) {
        return;
    }
    let packets = AT_ONCE / each;
    let bytes = packets * each * pen::BODY.len();
    let cases = vec![
        Case::prepared(
            OURS,
            bytes,
            Ours::new(0),
            |ours| ours.prepare(packets, each),
            |ours| {
                assert_eq!(ours.receive(), packets * each);
            },
        ),
        Case::prepared(
            GRAMMERS,
            bytes,
            Grammers::new(),
            |peer| peer.prepare(packets, each),
            |peer| {
                assert_eq!(peer.receive(), packets * each);
            },
        ),
        Case::prepared(LAYER, bytes, Layer::new(packets, each), Layer::prepare, |peer| {
            black_box(peer.receive());
        }),
        Case::prepared(FEROGRAM, bytes, Ferogram::new(packets, each), Ferogram::prepare, |peer| {
            black_box(peer.receive());
        }),
    ];
    let group = measure(settings, title, cases);
    let speed = |peer: &str| format!("{title}: speed / {peer}");
    report.target("T15", speed(GRAMMERS), Bound::AtLeast(least), group.ratio(OURS, GRAMMERS));
    report.group(group);
}

/// What an answer costs must not depend on how many calls wait for theirs.
fn beside_pending(settings: &Settings, report: &mut Report) {
    let title = "in, one answer in a packet, beside calls that wait";
    if !settings.wants(title) {
        return;
    }
    let name = |pending: usize| format!("{pending} pending");
    let cases = [1, 100, 10_000].map(|pending| {
        let bytes = AT_ONCE * pen::BODY.len();
        Case::prepared(
            name(pending),
            bytes,
            Ours::new(pending),
            |ours| ours.prepare(AT_ONCE, 1),
            |ours| {
                assert_eq!(ours.receive(), AT_ONCE);
            },
        )
    });
    let group = measure(settings, title, cases.into());
    for pending in [100, 10_000] {
        let text = format!("{title}: time with {pending} / with 1");
        report.target("T15", text, Bound::AtMost(1.25), group.ratio(&name(pending), &name(1)));
    }
    report.group(group);
}
