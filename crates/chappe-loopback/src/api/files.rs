//! Files: upload, download, datacenters and caches.
//!
//! Spec: <https://core.telegram.org/api/files>, <https://core.telegram.org/cdn>.

use chappe_server::{Answer, Call, Router, RpcError};
use chappe_tl::table::Decoded;
use chappe_tl_api::functions::upload;
use chappe_tl_api::{enums, types};

use super::Api;
use crate::cloud::Piece;

type File = Answer<Decoded<enums::upload::File<'static>>>;
type Hashes = Answer<Decoded<&'static [enums::FileHash<'static>]>>;

impl Api {
    pub(super) fn add_files(&self, router: Router) -> Router {
        let [save, save_big, get, hashes, reupload] = core::array::from_fn(|_| self.clone());
        router
            .on(move |_, call: Call<upload::SaveFilePart<'static>>| {
                let call = call.get();
                let saved = save.save(call.file_id, call.file_part, call.bytes);
                async move { saved }
            })
            .on(move |_, call: Call<upload::SaveBigFilePart<'static>>| {
                let call = call.get();
                let saved = save_big.save(call.file_id, call.file_part, call.bytes);
                async move { saved }
            })
            .on(move |_, call: Call<upload::GetFile<'static>>| {
                let file = get.file(call.get());
                async move { file }
            })
            .on(move |_, call: Call<upload::GetCdnFileHashes<'static>>| {
                let call = call.get();
                let state = hashes.cloud.state();
                let found = state.files.of_token(call.file_token).map(|(_, file)| file.hashes(call.offset));
                drop(state);
                async move { found.map(|found| encode_hashes(&found)) }
            })
            .on(move |_, call: Call<upload::ReuploadCdnFile<'static>>| {
                let call = call.get();
                let given = reupload.cloud.state().files.reupload(call.file_token, call.request_token);
                async move { given.map(|given| encode_hashes(&given)) }
            })
    }

    /// What a cache answers.
    pub(super) fn add_cache(&self, router: Router) -> Router {
        let api = self.clone();
        router.on(move |_, call: Call<upload::GetCdnFile<'static>>| {
            let call = call.get();
            let piece = api.cloud.state().files.cached_piece(call.file_token, call.offset, call.limit);
            let request_token = call.offset.to_le_bytes();
            async move {
                if let Some(bytes) = &piece? {
                    let file = types::upload::CdnFile { bytes };
                    return Ok(Answer::new(&enums::upload::CdnFile::CdnFile(file)));
                }
                let needed = types::upload::CdnFileReuploadNeeded { request_token: &request_token };
                Ok(Answer::new(&enums::upload::CdnFile::ReuploadNeeded(needed)))
            }
        })
    }

    fn save(&self, id: i64, part: i32, bytes: &[u8]) -> Result<bool, RpcError> {
        self.cloud.state().files.save(self.dc.number(), id, part, bytes).map(|()| true)
    }

    fn file(&self, call: &upload::GetFile<'_>) -> Result<File, RpcError> {
        let enums::InputFileLocation::InputDocumentFileLocation(document) = &call.location else {
            return Err(RpcError::new(400, "LOCATION_INVALID"));
        };
        let here = self.number_among_others();
        let state = self.cloud.state();
        let piece = state.files.piece(document.id, call.offset, call.limit, here, call.cdn_supported)?;
        Ok(match &piece {
            Piece::Bytes(bytes) => Answer::new(&enums::upload::File::File(types::upload::File {
                r#type: enums::storage::FileType::FileUnknown,
                mtime: 0,
                bytes,
            })),
            Piece::Cached { dc, token, key, iv, hashes } => {
                let hashes: Vec<_> = hashes.iter().map(file_hash).collect();
                let hashes: Vec<_> = hashes.iter().map(|hash| (*hash).into()).collect();
                let redirect = types::upload::FileCdnRedirect {
                    dc_id: i32::from(*dc),
                    file_token: token,
                    encryption_key: key,
                    encryption_iv: iv,
                    file_hashes: &hashes,
                };
                Answer::new(&enums::upload::File::CdnRedirect(&redirect))
            }
        })
    }
}

type Hash = (i64, i32, [u8; 32]);

fn file_hash((offset, limit, hash): &Hash) -> types::FileHash<'_> {
    types::FileHash { offset: *offset, limit: *limit, hash }
}

fn encode_hashes(hashes: &[Hash]) -> Hashes {
    let hashes: Vec<_> = hashes.iter().map(|hash| file_hash(hash).into()).collect();
    Answer::new(&&hashes[..])
}
