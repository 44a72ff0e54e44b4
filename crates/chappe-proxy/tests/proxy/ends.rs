//! Both ends of a proxy: a client that sends envelopes, and a datacenter that gives them back.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use chappe_crypto::rng::Drbg;
use chappe_proxy::{Config, Proxy, ProxyCounters};
use chappe_transport::{
    AcceptConfig, AcceptContext, AcceptStep, Acceptor, AckRequest, ConnectStep, Connection, ConnectionLimits,
    Connector, DcId, Incoming, ProxySecret, ReadBuf,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

/// Generous: only a fault lets it pass.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) const KEY: &str = "00112233445566778899aabbccddeeff";
pub(crate) const DD: &str = "dd00112233445566778899aabbccddeeff";
pub(crate) const EE: &str = "ee00112233445566778899aabbccddeeff6578616d706c652e636f6d";

/// A user who may use the key in every form.
pub(crate) const ALICE: &str = r#"
    [[users]]
    name = "alice"
    secret = "00112233445566778899aabbccddeeff"
    modes = ["plain", "dd", "ee"]
    domain = "example.com"
"#;

/// Starts a proxy on a free port, whose datacenter 2 has this address.
pub(crate) fn start(datacenter: SocketAddr, keys: &str, tables: &str) -> Proxy {
    Proxy::start(config(datacenter, keys, tables), Vec::new()).unwrap()
}

pub(crate) fn config(datacenter: SocketAddr, keys: &str, tables: &str) -> Config {
    let text = format!(
        "listen = [\"127.0.0.1:0\"]\n{keys}\n[[datacenters]]\nid = 2\naddresses = [\"{datacenter}\"]\n{tables}"
    );
    Config::parse(&text).unwrap()
}

/// Waits until the counters of a proxy are as they should be.
pub(crate) async fn until(proxy: &Proxy, is_so: impl Fn(&ProxyCounters) -> bool) {
    let waiting = async {
        while !is_so(&proxy.counters()) {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("{:?}", proxy.counters()));
}

pub(crate) fn now() -> u32 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() as u32
}

/// Accepts connections of every transport and gives every envelope back.
pub(crate) async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(give_back(socket));
        }
    });
    address
}

async fn give_back(mut socket: TcpStream) -> std::io::Result<()> {
    let (config, mut rng) = (AcceptConfig::datacenter(), Drbg::from_os().unwrap());
    let mut buf = ReadBuf::new(&ConnectionLimits::DEFAULT);
    let mut acceptor = Acceptor::new();
    let mut connection = loop {
        let mut context = AcceptContext { config: &config, unix_time: now(), replays: None };
        match acceptor.handle(&mut buf, &mut context, &mut rng).unwrap() {
            AcceptStep::Ready(accepted) => break accepted.connection,
            AcceptStep::Incomplete(next) => acceptor = next,
            other => panic!("{other:?}"),
        }
        read(&mut socket, &mut buf).await?;
    };
    loop {
        let mut out = Vec::new();
        while let Some(Incoming::Envelope { payload, .. }) = connection.receiver.receive(&mut buf).unwrap() {
            connection.sender.encode_into(&mut out, payload, AckRequest::No, &mut rng).unwrap();
        }
        socket.write_all(&out).await?;
        read(&mut socket, &mut buf).await?;
    }
}

async fn read(socket: &mut TcpStream, buf: &mut ReadBuf) -> std::io::Result<()> {
    let count = socket.read(buf.space().unwrap()).await?;
    buf.commit(count);
    if count == 0 { Err(std::io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

/// A client of a proxy.
pub(crate) struct Client {
    pub(crate) socket: TcpStream,
    pub(crate) connection: Connection,
    buf: ReadBuf,
    rng: Drbg,
    /// The first bytes, which wait for the first envelope.
    out: Vec<u8>,
}

impl Client {
    /// Connects to a proxy. Fails where fake TLS is not answered.
    pub(crate) async fn connect(proxy: &Proxy, secret: &str) -> std::io::Result<Self> {
        Self::connect_behind(proxy, secret, b"").await
    }

    /// As `connect`, behind these bytes.
    pub(crate) async fn connect_behind(proxy: &Proxy, secret: &str, first: &[u8]) -> std::io::Result<Self> {
        let socket = TcpStream::connect(proxy.local_addrs()[0]).await?;
        Self::begin(socket, secret, first, DcId::production(2)).await
    }

    pub(crate) async fn begin(
        mut socket: TcpStream,
        secret: &str,
        first: &[u8],
        dc: DcId,
    ) -> std::io::Result<Self> {
        let mut rng = Drbg::from_os().unwrap();
        let (mut out, mut buf) = (first.to_vec(), ReadBuf::new(&ConnectionLimits::DEFAULT));
        let connector = Connector::proxy(&ProxySecret::parse(secret).unwrap(), dc);
        let mut step = connector.start(now(), &mut rng, &mut out).unwrap();
        let connection = loop {
            match step {
                ConnectStep::Ready(connection) => break connection,
                ConnectStep::FakeTls(state) => {
                    socket.write_all(&out).await?;
                    out.clear();
                    timeout(PATIENCE, read(&mut socket, &mut buf)).await.unwrap()?;
                    step = state.handle(&mut buf).unwrap();
                }
            }
        };
        Ok(Self { socket, connection, buf, rng, out })
    }

    pub(crate) async fn send(&mut self, envelope: &[u8]) -> std::io::Result<()> {
        let mut out = std::mem::take(&mut self.out);
        self.connection.sender.encode_into(&mut out, envelope, AckRequest::No, &mut self.rng).unwrap();
        self.socket.write_all(&out).await
    }

    pub(crate) async fn receive(&mut self) -> std::io::Result<Vec<u8>> {
        loop {
            if let Some(Incoming::Envelope { payload, .. }) =
                self.connection.receiver.receive(&mut self.buf).unwrap()
            {
                return Ok(payload.to_vec());
            }
            timeout(PATIENCE, read(&mut self.socket, &mut self.buf)).await.expect("an answer or an end")?;
        }
    }

    /// Sends an envelope and returns whether it comes back. A proxy that refuses closes the connection.
    pub(crate) async fn is_served(&mut self, blocks: usize) -> bool {
        let mut envelope = vec![0x5a; 24 + 16 * blocks];
        envelope[0] = blocks as u8;
        match self.send(&envelope).await {
            Ok(()) => self.receive().await.is_ok_and(|back| back == envelope),
            Err(_) => false,
        }
    }
}

/// Connects and returns whether an envelope comes back.
pub(crate) async fn is_served(proxy: &Proxy, secret: &str) -> bool {
    match Client::connect(proxy, secret).await {
        Ok(mut client) => client.is_served(3).await,
        Err(_) => false,
    }
}
