//! Files: parts that were uploaded, and their bytes on the way back.

use std::collections::{BTreeMap, HashSet, VecDeque};

use chappe_crypto::cdn::CdnFileKey;
use chappe_crypto::hash;
use chappe_server::RpcError;

/// The longest part a client may send.
const MAX_PART: usize = 512 * 1024;

/// The longest piece a client may ask for at once.
const MAX_LIMIT: i32 = 1024 * 1024;

/// Parts a file may have, as the API has it.
const MAX_PARTS: i32 = 8000;

/// What a part costs besides its bytes: a client may send very small ones.
const PART_COST: usize = 128;

/// Bytes kept of uploads, with what parts cost; the oldest files make room.
const MAX_BYTES: usize = 512 * 1024 * 1024;

/// Bytes that one hash of a cached file covers.
const HASHED: usize = 128 * 1024;

/// Files by their ids.
#[derive(Default)]
pub(crate) struct Files {
    by_id: BTreeMap<i64, StoredFile>,
    /// Of those that were uploaded.
    order: VecDeque<i64>,
    bytes: usize,
}

/// A file, in parts.
#[derive(Default)]
pub(crate) struct StoredFile {
    parts: BTreeMap<i32, Vec<u8>>,
    /// The datacenter that has it.
    pub(crate) dc: Option<u16>,
    cached: Option<Cached>,
}

/// How a cache has a file.
struct Cached {
    dc: u16,
    key: [u8; 32],
    iv: [u8; 16],
    /// Aligned blocks that were given to the cache.
    is_there: HashSet<i64>,
}

/// A piece of a file for a client, or where it is.
pub(crate) enum Piece {
    Bytes(Vec<u8>),
    Cached { dc: u16, token: Vec<u8>, key: [u8; 32], iv: [u8; 16], hashes: Vec<(i64, i32, [u8; 32])> },
}

impl StoredFile {
    pub(super) fn whole(dc: Option<u16>, bytes: Vec<u8>) -> Self {
        Self { parts: BTreeMap::from([(0, bytes)]), dc, cached: None }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.parts.values().flatten().copied().collect()
    }

    /// Returns the hashes of the file from the block that holds `offset` on, at most ten.
    pub(crate) fn hashes(&self, offset: i64) -> Vec<(i64, i32, [u8; 32])> {
        let bytes = self.bytes();
        let first = usize::try_from(offset).unwrap_or(0) / HASHED;
        let blocks = bytes.chunks(HASHED).enumerate().skip(first).take(10);
        blocks.map(|(at, block)| ((at * HASHED) as i64, block.len() as i32, hash::sha256(&[block]))).collect()
    }
}

impl Files {
    pub(super) fn get(&self, id: i64) -> Option<&StoredFile> {
        self.by_id.get(&id)
    }

    pub(super) fn insert(&mut self, id: i64, file: StoredFile) {
        self.remove(id);
        self.by_id.insert(id, file);
    }

    fn remove(&mut self, id: i64) {
        let Some(file) = self.by_id.remove(&id) else { return };
        if self.order.contains(&id) {
            self.order.retain(|known| *known != id);
            self.bytes -= file.parts.values().map(|part| cost(part)).sum::<usize>();
        }
    }

    pub(super) fn cache(&mut self, id: i64, dc: u16) -> bool {
        let Some(file) = self.by_id.get_mut(&id) else { return false };
        let derived = hash::sha256(&[b"cached file", &id.to_le_bytes()]);
        let mut iv = [0; 16];
        iv[..12].copy_from_slice(&derived[..12]);
        let key = hash::sha256(&[&derived]);
        file.cached = Some(Cached { dc, key, iv, is_there: HashSet::new() });
        true
    }

    /// Keeps a part that a client uploads to datacenter `dc`.
    pub(crate) fn save(&mut self, dc: u16, id: i64, part: i32, bytes: &[u8]) -> Result<(), RpcError> {
        if !(0..MAX_PARTS).contains(&part) {
            return Err(RpcError::new(400, "FILE_PART_INVALID"));
        }
        if bytes.is_empty() {
            return Err(RpcError::new(400, "FILE_PART_EMPTY"));
        }
        if bytes.len() > MAX_PART {
            return Err(RpcError::new(400, "FILE_PART_TOO_BIG"));
        }
        if !self.order.contains(&id) {
            self.remove(id);
            self.order.push_back(id);
        }
        let file = self.by_id.entry(id).or_default();
        file.dc = Some(dc);
        self.bytes += cost(bytes);
        if let Some(replaced) = file.parts.insert(part, bytes.to_vec()) {
            self.bytes -= cost(&replaced);
        }
        while self.bytes > MAX_BYTES
            && let Some(oldest) = self.order.iter().copied().find(|oldest| *oldest != id)
        {
            self.remove(oldest);
        }
        Ok(())
    }

    /// Returns a piece of a file. `dc` is the datacenter that is asked, if others would answer differently; `caches`
    /// whether the client can go to a cache.
    pub(crate) fn piece(
        &self,
        id: i64,
        offset: i64,
        limit: i32,
        dc: Option<u16>,
        caches: bool,
    ) -> Result<Piece, RpcError> {
        let (offset_in, limit) = range(offset, limit)?;
        let file = self.by_id.get(&id).ok_or_else(|| RpcError::new(400, "FILE_ID_INVALID"))?;
        if let (Some(asked), Some(there)) = (dc, file.dc)
            && asked != there
        {
            return Err(RpcError::new(303, format!("FILE_MIGRATE_{there}")));
        }
        if let Some(Cached { dc, key, iv, .. }) = file.cached.as_ref().filter(|_| caches) {
            let (token, hashes) = (id.to_le_bytes().to_vec(), file.hashes(offset));
            return Ok(Piece::Cached { dc: *dc, token, key: *key, iv: *iv, hashes });
        }
        Ok(Piece::Bytes(piece_of(file.parts.values(), offset_in, limit)))
    }

    /// Returns the file of a token of the cache.
    pub(crate) fn of_token(&self, token: &[u8]) -> Result<(i64, &StoredFile), RpcError> {
        let id = token.try_into().map(i64::from_le_bytes).ok();
        let found = id.and_then(|id| Some((id, self.by_id.get(&id).filter(|file| file.cached.is_some())?)));
        found.ok_or_else(|| RpcError::new(400, "FILE_TOKEN_INVALID"))
    }

    /// Returns a piece of a file as the cache has it, encrypted; `None` if the cache must be given it first.
    pub(crate) fn cached_piece(
        &self,
        token: &[u8],
        offset: i64,
        limit: i32,
    ) -> Result<Option<Vec<u8>>, RpcError> {
        let (offset_in, limit) = range(offset, limit)?;
        let (_, file) = self.of_token(token)?;
        let Some(cached) = &file.cached else { return Ok(None) };
        if !cached.is_there.contains(&block_of(offset)) {
            return Ok(None);
        }
        let mut bytes = piece_of(file.parts.values(), offset_in, limit);
        let key =
            CdnFileKey::new(&cached.key, &cached.iv).map_err(|_| RpcError::new(500, "CDN_KEY_INVALID"))?;
        // In counter mode, encryption and decryption are the same.
        key.decrypt(offset_in as u64, &mut bytes).map_err(|_| RpcError::new(400, "OFFSET_INVALID"))?;
        Ok(Some(bytes))
    }

    /// Gives a block of a file to the cache. Returns its hashes.
    pub(crate) fn reupload(
        &mut self,
        token: &[u8],
        request: &[u8],
    ) -> Result<Vec<(i64, i32, [u8; 32])>, RpcError> {
        let (id, _) = self.of_token(token)?;
        let offset = request.try_into().map(i64::from_le_bytes);
        let offset = offset.map_err(|_| RpcError::new(400, "REQUEST_TOKEN_INVALID"))?;
        let Some(file) = self.by_id.get_mut(&id) else {
            return Err(RpcError::new(400, "FILE_TOKEN_INVALID"));
        };
        if let Some(cached) = &mut file.cached {
            cached.is_there.insert(block_of(offset));
        }
        Ok(file.hashes(offset))
    }
}

/// The block of the cache that a piece lies in: pieces never lie in two.
const fn block_of(offset: i64) -> i64 {
    offset / MAX_LIMIT as i64
}

fn range(offset: i64, limit: i32) -> Result<(usize, usize), RpcError> {
    if limit <= 0 || limit > MAX_LIMIT || limit % 1024 != 0 {
        return Err(RpcError::new(400, "LIMIT_INVALID"));
    }
    let offset = usize::try_from(offset).map_err(|_| RpcError::new(400, "OFFSET_INVALID"))?;
    Ok((offset, limit as usize))
}

const fn cost(part: &[u8]) -> usize {
    part.len() + PART_COST
}

/// Cuts `limit` bytes at `offset` out of parts that follow each other.
pub(crate) fn piece_of<'a>(
    parts: impl Iterator<Item = &'a Vec<u8>>,
    mut offset: usize,
    limit: usize,
) -> Vec<u8> {
    let mut bytes = Vec::new();
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
        assert_eq!(piece_of(parts.iter(), 8, 4), [1, 1, 2, 2]);
        assert_eq!(piece_of(parts.iter(), 20, 100), [3; 5]);
        assert_eq!(piece_of(parts.iter(), 25, 100), []);
    }

    #[test]
    fn a_part_that_is_sent_twice_counts_once() {
        let mut files = Files::default();
        files.save(2, 1, 0, &[1; 100]).expect("a good part");
        files.save(2, 1, 0, &[2; 60]).expect("a good part");
        assert_eq!(files.bytes, 60 + PART_COST);
        assert!(files.save(2, 1, -1, &[0]).is_err());
        assert!(files.save(2, 1, MAX_PARTS, &[0]).is_err());
        assert!(files.save(2, 1, 0, &vec![0; MAX_PART + 1]).is_err());
        files.insert(1, StoredFile::whole(None, vec![3; 10]));
        assert_eq!(files.bytes, 0, "what a test adds makes no room");
    }

    #[test]
    fn a_file_is_told_to_lie_elsewhere() {
        let mut files = Files::default();
        files.insert(1, StoredFile::whole(Some(4), vec![7; 3000]));
        let moved = files.piece(1, 0, 1024, Some(2), false).err().expect("it lies on 4");
        assert_eq!((moved.code, moved.message.as_str()), (303, "FILE_MIGRATE_4"));
        for dc in [Some(4), None] {
            let piece = files.piece(1, 2048, 1024, dc, false);
            assert!(matches!(piece, Ok(Piece::Bytes(bytes)) if bytes == [7; 952]), "{dc:?}");
        }
    }
}
