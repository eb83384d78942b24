//! The ways to a server other than plain TCP: a Unix socket and TLS.
#![cfg(unix)]

mod support;

use std::fs;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustix::process::Signal;
use support::{Finished, Process, footman};

/// Runs a client command against `server`.
fn run(server: &str, arguments: &[&str]) -> Finished {
    let mut command = footman();
    command.args(["--server", server]).args(arguments);
    Process::follow(&mut command).finish()
}

/// A server, and the address that its line says first.
fn serve(arguments: &[&str]) -> (Process, String) {
    let mut command = footman();
    command.arg("serve").args(arguments);
    let mut process = Process::follow(&mut command);
    let line = process.wait_for_notice("listening on ");
    let address = line
        .strip_prefix("listening on ")
        .expect("an address")
        .to_owned();
    (process, address)
}

#[test]
fn a_unix_socket_is_as_good_as_a_port_and_a_dead_one_is_no_obstacle() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("footman.sock");
    let unix = format!("unix:{}", path.display());
    let (mut server, first) = serve(&["--listen", &unix, "--listen", "127.0.0.1:0"]);
    assert_eq!(first, unix);
    let tcp = server.wait_for_notice("listening on 127.0.0.1:");
    let tcp = tcp.strip_prefix("listening on ").expect("an address");
    run(&unix, &["topics", "create", "t"]).expect_code(0);
    run(tcp, &["topics", "describe", "t"]).expect_code(0);
    // Another server on the same place is refused while this one lives, and welcome when it was killed.
    let mut second = footman();
    second.args(["serve", "--listen", &unix]);
    Process::follow(&mut second)
        .finish()
        .expect_failure(&[&unix, "--listen"]);
    server.signal(Signal::KILL);
    drop(server.finish());
    assert!(path.exists(), "a killed server cleans nothing up");
    let (_server, _) = serve(&["--listen", &unix]);
    run(&unix, &["info"]).expect_code(0);
}

/// A certificate authority, and what it has signed, in a folder.
struct Papers(tempfile::TempDir);

impl Papers {
    fn new() -> Papers {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let authority = CertifiedIssuer::self_signed(params, key).expect("an authority");
        let papers = Papers(folder);
        papers.write("ca.pem", &authority.pem());
        for name in ["server", "client"] {
            let key = KeyPair::generate().expect("a key");
            let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("parameters");
            let certificate = params.signed_by(&key, &authority).expect("a certificate");
            papers.write(&format!("{name}.pem"), &certificate.pem());
            papers.write(&format!("{name}.key"), &key.serialize_pem());
            let both = certificate.pem() + &key.serialize_pem();
            papers.write(&format!("{name}-both.pem"), &both);
        }
        papers
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).expect("a file can be written");
    }

    fn path(&self, name: &str) -> String {
        let path: &Path = self.0.path();
        path.join(name).display().to_string()
    }
}

#[test]
fn tls_needs_the_right_papers_on_both_sides() {
    let papers = Papers::new();
    let ca = papers.path("ca.pem");
    let (_server, address) = serve(&[
        "--listen",
        "127.0.0.1:0",
        "--tls-cert",
        &papers.path("server.pem"),
        "--tls-key",
        &papers.path("server.key"),
        "--tls-client-ca",
        &ca,
    ]);
    let https = format!("https://{address}");
    let identity = papers.path("client-both.pem");
    run(
        &https,
        &[
            "--ca",
            &ca,
            "--identity",
            &identity,
            "topics",
            "create",
            "t",
        ],
    )
    .expect_code(0);
    run(&https, &["--ca", &ca, "topics", "list"]).expect_failure(&[&address]);
    run(&https, &["topics", "list"]).expect_failure(&[&address]);
    run(&address, &["topics", "list"]).expect_failure(&[&address]);
    run(&https, &["--ca", "/no/such/file", "topics", "list"]).expect_failure(&["/no/such/file"]);

    for (options, word) in [
        (&["--tls-cert", &papers.path("server.pem")][..], "--tls-key"),
        (
            &["--tls-cert", &ca, "--tls-key", &papers.path("server.key")],
            "TLS",
        ),
        (&["--tls-client-ca", &ca], "--tls-cert"),
        (&["--cors-origin", "page"], "origin"),
    ] {
        let mut command = footman();
        command
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(options);
        Process::follow(&mut command)
            .finish()
            .expect_failure(&[word]);
    }
}
