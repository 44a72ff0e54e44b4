//! Files in memory: parts that were uploaded, and their bytes on the way back.

use std::collections::{BTreeMap, VecDeque};

use super::{Answer, encoded, error};
use crate::schema::{enums, types};
use chappe_tl_mtproto::types::RpcError;

/// The longest part a client may send.
const MAX_PART: usize = 512 * 1024;

/// The longest piece a client may ask for at once.
const MAX_LIMIT: i32 = 1024 * 1024;

/// Parts a file may have, as the API has it.
const MAX_PARTS: i32 = 8000;

/// What a part costs besides its bytes: a client may send very small ones.
const PART_COST: usize = 128;

/// Bytes kept in all, with what parts cost; the oldest files make room.
const MAX_BYTES: usize = 512 * 1024 * 1024;

/// Files that were uploaded, by the id their client chose. A file is fetched with an
/// `inputDocumentFileLocation` of that id.
#[derive(Debug, Default)]
pub(super) struct Files {
    by_id: BTreeMap<i64, BTreeMap<i32, Vec<u8>>>,
    order: VecDeque<i64>,
    bytes: usize,
}

impl Files {
    pub(super) fn save(&mut self, file_id: i64, part: i32, bytes: Vec<u8>) -> Result<(), RpcError> {
        if !(0..MAX_PARTS).contains(&part) {
            return Err(error(400, "FILE_PART_INVALID"));
        }
        if bytes.is_empty() {
            return Err(error(400, "FILE_PART_EMPTY"));
        }
        if bytes.len() > MAX_PART {
            return Err(error(400, "FILE_PART_TOO_BIG"));
        }
        let parts = self.by_id.entry(file_id).or_insert_with(|| {
            self.order.push_back(file_id);
            BTreeMap::new()
        });
        self.bytes += cost(&bytes);
        if let Some(replaced) = parts.insert(part, bytes) {
            self.bytes -= cost(&replaced);
        }
        self.make_room(file_id);
        Ok(())
    }

    pub(super) fn get(&self, location: &enums::InputFileLocation, offset: i64, limit: i32) -> Answer {
        let enums::InputFileLocation::InputDocumentFileLocation(document) = location else {
            return Err(error(400, "LOCATION_INVALID"));
        };
        if limit <= 0 || limit > MAX_LIMIT || limit % 1024 != 0 {
            return Err(error(400, "LIMIT_INVALID"));
        }
        let Ok(offset) = usize::try_from(offset) else {
            return Err(error(400, "OFFSET_INVALID"));
        };
        let parts = self.by_id.get(&document.id).ok_or_else(|| error(400, "FILE_ID_INVALID"))?;
        encoded(&enums::upload::File::File(types::upload::File {
            r#type: enums::storage::FileType::FileUnknown,
            mtime: 0,
            bytes: piece(parts.values(), offset, limit as usize),
        }))
    }

    fn make_room(&mut self, keep: i64) {
        while self.bytes > MAX_BYTES {
            match self.order.pop_front() {
                Some(oldest) if oldest != keep => {
                    let parts = self.by_id.remove(&oldest).unwrap_or_default();
                    self.bytes -= parts.values().map(cost).sum::<usize>();
                }
                Some(only) => {
                    self.order.push_back(only);
                    if self.order.len() == 1 {
                        return;
                    }
                }
                None => return,
            }
        }
    }
}

#[expect(clippy::ptr_arg, reason = "given to `map` over vectors")]
const fn cost(part: &Vec<u8>) -> usize {
    part.len() + PART_COST
}

/// Cuts `limit` bytes at `offset` out of parts that follow each other.
fn piece<'a>(parts: impl Iterator<Item = &'a Vec<u8>>, mut offset: usize, limit: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(limit);
    for part in parts {
        if offset >= part.len() {
            offset -= part.len();
            continue;
        }
        let take = (limit - bytes.len()).min(part.len() - offset);
        bytes.extend_from_slice(&part[offset..offset + take]);
        offset = 0;
        if bytes.len() == limit {
            break;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_may_span_parts() {
        let parts = [vec![1; 10], vec![2; 10], vec![3; 5]];
        assert_eq!(piece(parts.iter(), 8, 4), [1, 1, 2, 2]);
        assert_eq!(piece(parts.iter(), 20, 100), [3; 5]);
        assert_eq!(piece(parts.iter(), 25, 100), []);
    }

    #[test]
    fn a_part_that_is_sent_twice_counts_once() {
        let mut files = Files::default();
        files.save(1, 0, vec![1; 100]).expect("a good part");
        files.save(1, 0, vec![2; 60]).expect("a good part");
        assert_eq!(files.bytes, 60 + PART_COST);
        assert!(files.save(1, -1, vec![0]).is_err());
        assert!(files.save(1, MAX_PARTS, vec![0]).is_err());
        assert!(files.save(1, 0, vec![0; MAX_PART + 1]).is_err());
    }
}
