//! T17: kernels called while the upper halves of vector registers are dirty.

use std::hint::black_box;

use chappe_crypto::{AuthKey, Side, ctr::Ctr, ige, kdf, message};

use crate::{
    harness::{Case, Settings, measure},
    limits,
    report::{Bound, Report},
};

const LEN: usize = 1024;

/// Measures each kernel of one stream, clean and dirty.
pub fn run(settings: &Settings, report: &mut Report) {
    let key = AuthKey::from_bytes([7; 256]);
    let mut ctr = Ctr::new(&[1; 32], &[2; 16]);
    kernel(settings, report, "seal", |data| {
        black_box(message::seal(&key, Side::Client, data)).expect("whole blocks");
    });
    let mut sealed = [5; LEN];
    let msg_key = message::seal(&key, Side::Client, &mut sealed).expect("whole blocks").msg_key;
    kernel(settings, report, "open", |data| {
        data.copy_from_slice(&sealed);
        black_box(message::open(&key, Side::Client, &msg_key, data)).expect("the message is right");
    });
    kernel(settings, report, "SHA-256", |data| {
        black_box(kdf::msg_key_v2(&key, Side::Client, data));
    });
    kernel(settings, report, "IGE", |data| {
        ige::encrypt(black_box(&[1; 32]), black_box(&[2; 32]), data).expect("whole blocks");
    });
    kernel(settings, report, "CTR", |data| ctr.apply(data));
}

fn kernel(settings: &Settings, report: &mut Report, name: &str, work: impl FnMut(&mut [u8; LEN])) {
    let title = format!("dirty upper halves, {name}");
    if !settings.wants(&title) {
        return;
    }
    let work = &std::cell::RefCell::new((work, [3; LEN]));
    let case = |case: &'static str, is_dirty: bool| {
        Case::new(case, LEN, move || {
            let (work, data) = &mut *work.borrow_mut();
            limits::set_uppers(is_dirty);
            work(data);
            limits::set_uppers(false);
        })
    };
    let group = measure(settings, &title, vec![case("clean", false), case("dirty", true)]);
    let ratio = group.ratio("dirty", "clean");
    report.target("T17", format!("{name}, 1 KiB: time dirty / clean"), Bound::AtMost(1.5), ratio);
    report.group(group);
}
