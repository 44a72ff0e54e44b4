//! What other implementations were found to get wrong, as far as no other test tries it.

use chappe_session::SessionLimits;
use chappe_session::client::{Packing, SendOptions};

use crate::pen::{Pen, Seen, result_of};
use crate::{QUERY, gzip_packed};

#[test]
fn a_call_as_large_as_a_container_may_be_is_sent_and_holds_nothing_up() {
    let limits = SessionLimits::default().with(|limits| limits.container_bytes = 4096);
    for len in (4096 - 64..=4096 + 64).step_by(4) {
        let mut pen = Pen::with(limits.clone());
        let options = || SendOptions::default().with_packing(Packing::Never);
        let small = pen.call();
        let mut body = QUERY.to_vec();
        body.resize(len, 0x55);
        let large = pen.client.send_bytes(pen.now(), &body, options()).unwrap();
        let after = pen.call();
        let sent = pen.sent();
        for call in [small, large, after] {
            let id = pen.client.msg_id(call);
            assert!(id.is_some(), "{len} bytes: a call has no number");
            assert!(sent.iter().any(|sent| Some(sent.msg_id) == id), "{len} bytes: a call was not sent");
        }
        pen.survives("a call at the limit");
    }
}

#[test]
fn calls_of_the_same_bytes_are_told_apart() {
    let mut pen = Pen::new();
    let calls: Vec<_> = (0..20_u8).map(|number| (pen.call(), number)).collect();
    let queries = pen.queries();
    assert_eq!(queries.len(), calls.len());
    for ((call, number), query) in calls.iter().zip(&queries).rev() {
        let answer = [0x77, 0x77, 0x77, *number];
        assert_eq!(pen.answer(query.msg_id, &answer).unwrap(), [Seen::Answer(*call, answer.to_vec())]);
    }
    pen.survives("calls that are alike");
}

#[test]
fn the_size_that_gzip_claims_is_not_believed() {
    let mut pen = Pen::new();
    let packed = gzip_packed(&[0x44; 4000]);
    let trailer = packed.iter().rposition(|byte| *byte != 0).unwrap();
    // The four bytes of the size end the stream; behind it stands padding of TL at most.
    let end =
        (trailer + 1..=packed.len()).find(|end| packed[end - 4..*end] == 4000_u32.to_le_bytes()).unwrap();
    for claimed in [0_u32, 1, 3999, 4001, 16 << 20, 0x7fff_ffff, u32::MAX] {
        let mut lie = packed.clone();
        lie[end - 4..end].copy_from_slice(&claimed.to_le_bytes());
        let call = pen.call();
        let query = pen.queries().remove(0).msg_id;
        let frame_of = result_of(query, &lie);
        let mut outcome = None;
        let memory = allocation_counter::measure(|| outcome = Some(pen.say(&frame_of)));
        assert!(memory.bytes_max < 1 << 20, "{claimed:#x}: {} bytes", memory.bytes_max);
        let shown = outcome.unwrap().unwrap_or_default();
        assert!(!shown.iter().any(|seen| matches!(seen, Seen::Answer(..))), "{claimed:#x}: {shown:?}");
        pen.client.cancel(call);
        pen.survives("a size that is a lie");
    }
}

#[test]
fn a_schema_may_hold_letters_of_any_alphabet_in_its_comments() {
    let text = "// Клод Шапп ünd 📯, один\npong#347773c5 /* é */ msg_id:long ping_id:long = Pong; // ж\n";
    let schema = chappe_tl_parser::parse("letters.tl", text).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(schema.definitions().len(), 1);
    // Cut anywhere between letters, it is a schema or a complaint.
    for (end, _) in text.char_indices() {
        let _ = chappe_tl_parser::parse("letters.tl", &text[..end]);
    }
}
