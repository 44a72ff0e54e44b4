//! Where a client in a browser connects to.

use chappe_handshake::{ClientOptions, DcId};
use chappe_net::{Address, Candidate, ConnectOptions, DialOptions};
use chappe_transport::websocket::{HostPurpose, PATH, TEST_PATH, host};
use chappe_transport::{Connector, Framing};

/// Makes options for a public datacenter, 1 to 5: its URL for API calls, its URL for files, and the built-in keys. For another
/// number there is no candidate.
pub fn production(dc: u16) -> ConnectOptions {
    of(ClientOptions::production(dc), PATH)
}

/// Makes options for a datacenter of the test environment, 1 to 3.
pub fn test(dc: u16) -> ConnectOptions {
    of(ClientOptions::test(dc), TEST_PATH)
}

/// Makes options for a datacenter whose WebSocket has this URL: `wss://…`, or `ws://…` on a page that was not loaded over HTTPS.
///
/// Frames are intermediate and obfuscated, as a datacenter demands of a WebSocket (`SEC-139`).
pub fn at(url: impl Into<String>, handshake: ClientOptions) -> ConnectOptions {
    ConnectOptions::new(handshake, vec![candidate(url.into())])
}

fn of(handshake: ClientOptions, path: &str) -> ConnectOptions {
    let candidates = |purpose| -> Vec<Candidate> {
        let url = url(handshake.dc, purpose, path);
        url.map(candidate).into_iter().collect()
    };
    let (main, media) = (candidates(HostPurpose::Main), candidates(HostPurpose::Media));
    ConnectOptions::new(handshake, main).with_media_candidates(media)
}

fn url(dc: DcId, purpose: HostPurpose, path: &str) -> Option<String> {
    let host = host(u8::try_from(dc.number()).ok()?, purpose)?;
    Some(format!("wss://{host}{path}"))
}

fn candidate(url: String) -> Candidate {
    let connector =
        Connector::obfuscated(Framing::Intermediate, None).expect("the framing can be hidden: it has a tag");
    Candidate { address: Address::Url(url), dialling: DialOptions::new(connector) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_datacenter_has_a_url_for_everything_and_one_for_files() {
        let options = production(2);
        let urls = |candidates: &[Candidate]| -> Vec<String> {
            candidates.iter().map(|candidate| candidate.address.to_string()).collect()
        };
        assert_eq!(urls(&options.candidates), ["wss://venus.web.telegram.org/apiws"]);
        assert_eq!(urls(&options.media_candidates), ["wss://venus-1.web.telegram.org/apiws"]);
        assert_eq!(urls(&test(1).candidates), ["wss://pluto.web.telegram.org/apiws_test"]);
        assert!(production(0).candidates.is_empty() && production(6).candidates.is_empty());
        assert!(production(258).candidates.is_empty(), "the number does not wrap");
        assert_eq!(options.validate(), Ok(()));
    }
}
