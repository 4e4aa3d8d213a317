//! Encrypted connections, and how a server proves who it is.

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use osis_core::error::{Error, Result};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config::Trust;

/// What makes connections encrypted.
///
/// # Errors
/// `Invalid` if the authorities' certificates cannot be read.
pub(crate) fn connector(trust: &Trust) -> Result<MakeRustlsConnect> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::internal("no TLS", error))?;
    let config = match trust {
        Trust::Authority { roots, name: true } => {
            builder.with_root_certificates(authorities(roots.as_deref())?)
        }
        Trust::Authority { roots, name: false } => {
            let roots = Arc::new(authorities(roots.as_deref())?);
            let chain = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
                .build()
                .map_err(|error| Error::internal("no TLS", error))?;
            let chain = Some(chain);
            let verifier = Arc::new(AnyName { provider, chain });
            builder
                .dangerous()
                .with_custom_certificate_verifier(verifier)
        }
        Trust::Anyone => {
            let chain = None;
            let verifier = Arc::new(AnyName { provider, chain });
            builder
                .dangerous()
                .with_custom_certificate_verifier(verifier)
        }
    };
    Ok(MakeRustlsConnect::new(config.with_no_client_auth()))
}

fn authorities(file: Option<&Path>) -> Result<RootCertStore> {
    let certificates: Vec<CertificateDer<'_>> = match file {
        None => rustls_native_certs::load_native_certs().certs,
        Some(file) => {
            let unfit = |error: rustls::pki_types::pem::Error| {
                let message = format!("{} cannot be read: {error}", file.display());
                Error::invalid("sslrootcert", message)
            };
            let certificates = CertificateDer::pem_file_iter(file).map_err(unfit)?;
            certificates.collect::<Result<_, _>>().map_err(unfit)?
        }
    };
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates);
    if added == 0 {
        let message = "there is no certificate of an authority; name a file with some";
        return Err(Error::invalid("sslrootcert", message));
    }
    Ok(roots)
}

/// Takes a certificate for whatever host it is, of a known authority or of anybody: what libpq
/// calls `verify-ca` and `require`.
#[derive(Debug)]
struct AnyName {
    provider: Arc<CryptoProvider>,
    /// Checks that a known authority stands behind it.
    chain: Option<Arc<WebPkiServerVerifier>>,
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        stapled: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(chain) = &self.chain else {
            return Ok(ServerCertVerified::assertion());
        };
        // The name is looked at last, when the chain is found to be good.
        match chain.verify_server_cert(certificate, intermediates, name, stapled, now) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let schemes = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, schemes)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let schemes = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, schemes)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let schemes = &self.provider.signature_verification_algorithms;
        schemes.supported_schemes()
    }
}
