//! TLS, by rustls with ring: what a server shows, and what a client trusts and shows.
//!
//! HTTP/2 is agreed on by ALPN; a server offers HTTP/1.1 beside it, for browsers that speak gRPC-web.

#[cfg(feature = "client")]
use std::fmt;
use std::sync::Arc;

use rustls::RootCertStore;
#[cfg(feature = "server")]
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
#[cfg(feature = "server")]
use rustls::server::WebPkiClientVerifier;

/// Why certificates or a key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The text is not PEM, or has none of what was looked for.
    #[error("there is no {what} in the PEM text: {message}")]
    Pem {
        /// What was looked for.
        what: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// What is in the PEM text cannot be used.
    #[error("the certificates cannot be used: {message}")]
    Unusable {
        /// Why.
        message: String,
    },
    /// The machine has no certificate that could be trusted.
    #[error("this machine has no trusted certificates: {message}")]
    NoTrust {
        /// What was met when looking.
        message: String,
    },
}

fn unusable(error: impl ToString) -> TlsError {
    TlsError::Unusable {
        message: error.to_string(),
    }
}

/// All certificates of a PEM text; at least one.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |message: String| TlsError::Pem {
        what: "certificate",
        message,
    };
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err(failed("nothing found".to_owned())),
        Ok(found) => Ok(found),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// The first private key of a PEM text: PKCS#8, PKCS#1 or SEC1.
fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| TlsError::Pem {
        what: "private key",
        message: error.to_string(),
    })
}

fn trust(pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots.add(certificate).map_err(unusable)?;
    }
    Ok(roots)
}

/// What a server shows to its peers, and what it asks of them. Cheap to clone.
#[cfg(feature = "server")]
#[derive(Debug, Clone)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
}

#[cfg(feature = "server")]
impl ServerTls {
    /// From PEM texts: the server's certificate, those that lead to its root after it, and its key. Anybody may connect.
    ///
    /// # Errors
    ///
    /// If a text does not have what it should, or key and certificate do not belong together.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<ServerTls, TlsError> {
        ServerTls::new(certificate, key, None)
    }

    /// The same, for peers that show a certificate signed by one of `client_ca`; others are not let in.
    ///
    /// # Errors
    ///
    /// As [`from_pem`](ServerTls::from_pem).
    pub fn from_pem_with_client_ca(
        certificate: &[u8],
        key: &[u8],
        client_ca: &[u8],
    ) -> Result<ServerTls, TlsError> {
        ServerTls::new(certificate, key, Some(client_ca))
    }

    fn new(
        certificate: &[u8],
        key: &[u8],
        client_ca: Option<&[u8]>,
    ) -> Result<ServerTls, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?;
        let builder = match client_ca {
            None => builder.with_no_client_auth(),
            Some(pem) => {
                let roots = Arc::new(trust(pem)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                    .build()
                    .map_err(unusable)?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder
            .with_single_cert(certificates(certificate)?, private_key(key)?)
            .map_err(unusable)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(ServerTls {
            config: Arc::new(config),
        })
    }

    pub(crate) fn acceptor(&self) -> tokio_rustls::TlsAcceptor {
        Arc::clone(&self.config).into()
    }
}

/// What a client trusts and shows when it speaks `https`. Without more: the machine's trusted certificates, and nothing.
#[cfg(feature = "client")]
#[derive(Clone, Default)]
pub struct ClientTls {
    trusted: Option<Arc<RootCertStore>>,
    identity: Option<Arc<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>>,
}

#[cfg(feature = "client")]
impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls")
            .field("trusts_the_machine", &self.trusted.is_none())
            .field("has_identity", &self.identity.is_some())
            .finish()
    }
}

#[cfg(feature = "client")]
impl ClientTls {
    /// Trusts the certificates in a PEM text, and no others.
    ///
    /// # Errors
    ///
    /// If there is none in it, or one cannot be used.
    pub fn with_ca_pem(mut self, pem: &[u8]) -> Result<ClientTls, TlsError> {
        self.trusted = Some(Arc::new(trust(pem)?));
        Ok(self)
    }

    /// Shows this certificate to servers that ask for one.
    ///
    /// # Errors
    ///
    /// If a text does not have what it should.
    pub fn with_identity_pem(
        mut self,
        certificate: &[u8],
        key: &[u8],
    ) -> Result<ClientTls, TlsError> {
        self.identity = Some(Arc::new((certificates(certificate)?, private_key(key)?)));
        Ok(self)
    }

    pub(crate) fn connector(&self) -> Result<tokio_rustls::TlsConnector, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let roots = match &self.trusted {
            Some(roots) => Arc::clone(roots),
            None => Arc::new(of_the_machine()?),
        };
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_root_certificates(roots);
        let mut config = match self.identity.as_deref() {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder
                .with_client_auth_cert(chain.clone(), key.clone_key())
                .map_err(unusable)?,
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Arc::new(config).into())
    }
}

/// What the machine trusts.
#[cfg(feature = "client")]
fn of_the_machine() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let message = found.errors.first().map_or_else(
            || "none was found; name the ones to trust".to_owned(),
            ToString::to_string,
        );
        return Err(TlsError::NoTrust { message });
    }
    Ok(roots)
}
