//! TLS as libpq has it: what `sslmode` asks for is what is checked.

use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::WireError;
use super::settings::{Settings, TlsMode};

fn failed(what: &str, error: impl std::fmt::Display) -> WireError {
    WireError { code: "connect", message: format!("{what}: {error}"), position: None, help: None }
}

/// The server's certificate, checked as far as the mode asks.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    /// None: whoever answers is taken.
    chain: Option<Arc<WebPkiServerVerifier>>,
    check_name: bool,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        match chain.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.check_name => Ok(ServerCertVerified::assertion()),
            outcome => outcome,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// What a TLS connection by these settings is made with.
pub fn connector(settings: &Settings) -> Result<TlsConnector, WireError> {
    let provider = Arc::new(ring::default_provider());
    // As libpq: a root certificate that is given is used, also where the mode does not insist on one.
    let verifies = settings.tls >= TlsMode::VerifyCa || settings.root_certificate.is_some();
    let chain = verifies.then(|| chain(settings, &provider)).transpose()?;
    let check_name = settings.tls == TlsMode::VerifyFull;
    let verifier = Arc::new(Verifier { provider: provider.clone(), chain, check_name });
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed("TLS", error))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let config = match (&settings.certificate, &settings.key) {
        (Some(certificate), Some(key)) => {
            let shown = certificate.display().to_string();
            let certificates = CertificateDer::pem_file_iter(certificate)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|error| failed(&shown, error))?;
            let key = PrivateKeyDer::from_pem_file(key).map_err(|error| failed(&key.display().to_string(), error))?;
            builder.with_client_auth_cert(certificates, key).map_err(|error| failed(&shown, error))?
        }
        _ => builder.with_no_client_auth(),
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

fn chain(settings: &Settings, provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, WireError> {
    let Some(file) = &settings.root_certificate else {
        let message = "`sslmode` asks for a checked certificate, and `sslrootcert` names no file of trusted ones";
        return Err(WireError { code: "settings-invalid", message: message.to_string(), position: None, help: None });
    };
    let mut roots = RootCertStore::empty();
    let shown = file.display().to_string();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| failed(&shown, error))? {
        let certificate = certificate.map_err(|error| failed(&shown, error))?;
        roots.add(certificate).map_err(|error| failed(&shown, error))?;
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().map_err(|error| failed(&shown, error))
}
