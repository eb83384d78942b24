//! TLS: who is trusted, who is let in, and that nobody can hold a handshake open.

mod harness;

use std::time::Duration;

use footman_broker::{Record, StartAt};
use footman_broker_grpc::{
    Client, ClientOptions, ClientTls, ConnectError, ServerOptions, ServerTls, TlsError,
};
use harness::{PATIENCE, Running, records};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// An authority made for one test.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Authority(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for `name` and its key.
    fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

fn server_options(
    authority: &Authority,
    name: &str,
    client_ca: Option<&Authority>,
) -> ServerOptions {
    let (certificate, key) = authority.issue(name);
    let (certificate, key) = (certificate.as_bytes(), key.as_bytes());
    let tls = match client_ca {
        None => ServerTls::from_pem(certificate, key),
        Some(ca) => ServerTls::from_pem_with_client_ca(certificate, key, ca.pem().as_bytes()),
    };
    let mut options = ServerOptions::default();
    options.tls = Some(tls.unwrap());
    options
}

fn trusting(authority: &Authority) -> ClientTls {
    ClientTls::default()
        .with_ca_pem(authority.pem().as_bytes())
        .unwrap()
}

async fn connect(server: &Running, tls: ClientTls) -> Result<Client, ConnectError> {
    let mut options = ClientOptions::default();
    options.tls = tls;
    Client::connect_with(&format!("https://{}", server.addr), options).await
}

#[tokio::test]
async fn records_go_through_tls_as_they_go_without() {
    let authority = Authority::new();
    let server = Running::start(server_options(&authority, "127.0.0.1", None)).await;
    let client = connect(&server, trusting(&authority)).await.unwrap();
    assert_eq!(client.server(), format!("https://{}", server.addr));
    let producer = client.producer("t").build();
    // More than TLS takes in at once, so that a part has to wait for the socket.
    let large = vec![7; 900_000];
    for at in 0..20_u8 {
        let value = if at % 2 == 0 { large.clone() } else { vec![at] };
        producer.enqueue(&Record::new(value)).await.unwrap();
    }
    producer.close().await.unwrap();
    let mut subscriber = client
        .subscriber()
        .topic("t", StartAt::Earliest)
        .build()
        .await
        .unwrap();
    let all = records(&mut subscriber, 20).await;
    assert_eq!(all[18].1.value, large);
    assert_eq!(all[19].1.value[..], [19]);
    server.stop().await;
}

#[tokio::test]
async fn a_server_that_is_not_trusted_is_not_spoken_to() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let server = Running::start(server_options(&ours, "127.0.0.1", None)).await;
    let error = connect(&server, trusting(&theirs)).await.unwrap_err();
    assert!(
        matches!(&error, ConnectError::Unreachable { message, .. } if message.contains("certificate")),
        "{error}"
    );
    server.stop().await;

    let server = Running::start(server_options(&ours, "elsewhere.example", None)).await;
    let error = connect(&server, trusting(&ours)).await.unwrap_err();
    assert!(
        matches!(&error, ConnectError::Unreachable { message, .. } if message.contains("not valid for name")),
        "{error}"
    );
    // Without TLS there is no answer either.
    let plain = Client::connect(&server.addr.to_string()).await;
    assert!(matches!(
        plain,
        Err(ConnectError::Unreachable { .. } | ConnectError::NotFootman { .. })
    ));
    server.stop().await;
}

#[tokio::test]
async fn a_server_may_ask_who_its_peers_are() {
    let (authority, members, others) = (Authority::new(), Authority::new(), Authority::new());
    let server = Running::start(server_options(&authority, "127.0.0.1", Some(&members))).await;
    let identified = |by: &Authority| {
        let (certificate, key) = by.issue("member");
        trusting(&authority)
            .with_identity_pem(certificate.as_bytes(), key.as_bytes())
            .unwrap()
    };
    let client = connect(&server, identified(&members)).await.unwrap();
    client
        .producer("t")
        .build()
        .send(&Record::new("v"))
        .await
        .unwrap();
    assert!(connect(&server, trusting(&authority)).await.is_err());
    assert!(connect(&server, identified(&others)).await.is_err());
    assert_eq!(server.broker.topic("t").unwrap().end_offset, 1);
    server.stop().await;
}

#[tokio::test]
async fn a_handshake_that_takes_too_long_is_cut() {
    let authority = Authority::new();
    let mut options = server_options(&authority, "127.0.0.1", None);
    options.limits.handshake_timeout = Duration::from_millis(100);
    let server = Running::start(options).await;
    // Nothing; the head of a ClientHello; and TLS that is agreed on, after which nothing comes.
    for start in [&b""[..], b"\x16\x03\x01\x02\x00\x01"] {
        let mut socket = TcpStream::connect(server.addr).await.unwrap();
        socket.write_all(start).await.unwrap();
        let mut words = Vec::new();
        let _ = timeout(PATIENCE, socket.read_to_end(&mut words))
            .await
            .expect("the server closes");
        assert_eq!(words, b"");
    }
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.0.der().clone()).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(
        rustls::crypto::ring::default_provider().into(),
    )
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_root_certificates(roots)
    .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let socket = TcpStream::connect(server.addr).await.unwrap();
    let name = server.addr.ip().into();
    let mut socket = connector.connect(name, socket).await.unwrap();
    let mut words = Vec::new();
    let _ = timeout(PATIENCE, socket.read_to_end(&mut words))
        .await
        .expect("the server closes");
    assert_eq!(words, b"");
    let client = connect(&server, trusting(&authority)).await.unwrap();
    client.server_info().await.unwrap();
    server.stop().await;
}

#[test]
fn what_is_no_certificate_is_refused_with_a_reason() {
    let authority = Authority::new();
    let (certificate, key) = authority.issue("a");
    let (_, another_key) = authority.issue("b");
    let from = |certificate: &str, key: &str| {
        ServerTls::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap_err()
    };
    assert!(matches!(
        from("", &key),
        TlsError::Pem {
            what: "certificate",
            ..
        }
    ));
    assert!(matches!(
        from(&certificate, "hello"),
        TlsError::Pem {
            what: "private key",
            ..
        }
    ));
    assert!(matches!(
        from(&certificate, &another_key),
        TlsError::Unusable { .. }
    ));
    assert!(ClientTls::default().with_ca_pem(key.as_bytes()).is_err());
}
