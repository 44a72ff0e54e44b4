//! The settings of a server's session, and every bound of it.

use core::time::Duration;

use chappe_framing::Padding;

use crate::window::AgeLimits;

/// How strict a server is with the mistakes of widespread clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Policy {
    /// Every rule is enforced: codes 19 and 32 to 35 are sent, and only gzip is unpacked.
    Strict,
    /// Sequence numbers are not checked: widespread clients get the parity of service messages wrong and disconnect
    /// when they are told. A container under a used id is a repetition, and zlib is unpacked like gzip.
    #[default]
    Lenient,
}

/// The settings and bounds of a server's session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerConfig {
    /// How strict the session is.
    pub policy: Policy,
    /// How much random padding goes behind a message.
    pub padding: Padding,
    /// Ids of received messages remembered (SEC-78). Default 416.
    pub received_ids: usize,
    /// How old and how far in the future a message may be (SEC-79).
    pub age: AgeLimits,
    /// Queries that may run at once. Each further one is answered with the error `FLOOD_WAIT_1`, code 420, and is not
    /// shown; other messages are not affected. Default 1024.
    pub running_queries: usize,
    /// Messages that wait to be sent or acknowledged. Default 8192.
    pub unacked_messages: usize,
    /// Bytes of these. Default 32 MiB (SEC-175).
    pub unacked_bytes: usize,
    /// Most bytes that the packed queries of one frame may unpack to. Default 16 MiB (SEC-97).
    pub unpacked_bytes: usize,
    /// Messages put into one container. Default 100.
    pub container_messages: usize,
    /// Bytes after which no further message is put into a container. Default 512 KiB.
    pub container_bytes: usize,
    /// Smallest answer that is packed with gzip, if it becomes clearly smaller. Default 4096; 0 for never.
    pub gzip_from: usize,
    /// Answers larger than this are announced with `msg_detailed_info` instead of being sent again when a
    /// query is repeated. Default 4096.
    pub large_answer: usize,
    /// How long a query may run until it is acknowledged. Default 1.5 s.
    pub ack_delay: Duration,
    /// How long a message waits for its acknowledgement until it is sent again. Default 30 s.
    pub resend_after: Duration,
    /// The longest time a client may set with `ping_delay_disconnect` (SEC-109). Default 512 s.
    pub disconnect_delay: Duration,
    /// Complaints (`bad_msg_notification`) per ten seconds. Default 100.
    pub complaints: u16,
}

impl ServerConfig {
    chappe_types::with!();
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            policy: Policy::Lenient,
            padding: Padding::Random,
            received_ids: 416,
            age: AgeLimits::SPEC,
            running_queries: 1024,
            unacked_messages: 8192,
            unacked_bytes: 32 << 20,
            unpacked_bytes: 16 << 20,
            container_messages: 100,
            container_bytes: 512 << 10,
            gzip_from: 4096,
            large_answer: 4096,
            ack_delay: Duration::from_millis(1500),
            resend_after: Duration::from_secs(30),
            disconnect_delay: Duration::from_secs(512),
            complaints: 100,
        }
    }
}
