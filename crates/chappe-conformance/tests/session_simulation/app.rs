//! The application above the client's session: what it called, and what it was told.

use std::collections::{BTreeMap, BTreeSet};

use chappe_session::client::{CallFailure, CallId, Repeat};

/// Constructor id of the only query there is: number 8, kind 4, padding.
pub const QUERY: u32 = 0x5151_0001;
/// Constructor id of its result: number 8, padding.
pub const RESULT: u32 = 0x5151_0002;
/// Constructor id of an update: number 8.
pub const UPDATE: u32 = 0x5151_0003;

/// A call the application made.
#[derive(Debug)]
pub struct Call {
    pub number: u64,
    pub repeat: Repeat,
    pub ended: Option<Ended>,
    pub cancelled: bool,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Answered,
    Error,
    Failed(CallFailure),
    /// The application was restarted before.
    Forgotten,
}

/// What the application knows.
#[derive(Debug, Default)]
pub struct App {
    pub calls: Vec<Call>,
    pub by_id: BTreeMap<CallId, usize>,
    pub updates: BTreeSet<u64>,
    /// All updates up to this number may be missing, and the application knows.
    pub excused: u64,
}

impl App {
    pub fn called(&mut self, id: CallId, number: u64, repeat: Repeat) {
        assert_eq!(self.by_id.insert(id, self.calls.len()), None, "ids of calls are never used twice");
        self.calls.push(Call { number, repeat, ended: None, cancelled: false });
    }

    pub fn ended(&mut self, id: CallId, how: Ended) {
        let call = &mut self.calls[self.by_id[&id]];
        assert_eq!(call.ended, None, "call {} ended twice, now {how:?}", call.number);
        if let Ended::Failed(failure) = how {
            let is_fair = match failure {
                CallFailure::Cancelled(_) => call.cancelled,
                // An acknowledged call is not sent again where its outcome is unknown.
                CallFailure::Uncertain => call.repeat != Repeat::Freely,
                CallFailure::TimedOut => true,
                _ => false,
            };
            assert!(is_fair, "call {} ({:?}) failed: {failure:?}", call.number, call.repeat);
        }
        call.ended = Some(how);
    }

    pub fn answered(&mut self, id: CallId, body: &[u8]) {
        assert_eq!(body[..4], RESULT.to_le_bytes());
        let number = u64::from_le_bytes(body[4..12].try_into().unwrap());
        assert_eq!(number, self.calls[self.by_id[&id]].number, "an answer to another call");
        self.ended(id, Ended::Answered);
    }

    pub fn updated(&mut self, body: &[u8]) {
        assert_eq!(body[..4], UPDATE.to_le_bytes());
        let number = u64::from_le_bytes(body[4..12].try_into().unwrap());
        assert!(self.updates.insert(number), "update {number} came twice");
    }

    pub fn open_calls(&self) -> usize {
        self.calls.iter().filter(|call| call.ended.is_none()).count()
    }

    /// The application is restarted: what it waited for is forgotten, and it will fetch the difference.
    pub fn restart(&mut self, updates_so_far: u64) {
        for call in &mut self.calls {
            call.ended.get_or_insert(Ended::Forgotten);
        }
        self.by_id.clear();
        self.excused = updates_so_far;
    }
}

/// Builds a query; `padding` words follow its fields.
pub fn query(number: u64, kind: u32, padding: usize) -> Vec<u8> {
    let mut body = QUERY.to_le_bytes().to_vec();
    body.extend_from_slice(&number.to_le_bytes());
    body.extend_from_slice(&kind.to_le_bytes());
    body.resize(body.len() + 4 * padding, 0x20);
    body
}
