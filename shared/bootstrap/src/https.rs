//! The HTTP client of a function: HTTP/1.1 over TLS, as AWS's services speak it.
//!
//! Not the SDK's own: it brings HTTP/2 and proxies into every binary, and to decode the platform's certificates
//! it executes more than all the rest of a cold start.

use std::fs;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector as Tcp;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

use crate::variable;

/// The trust bundle of Amazon Linux 2023, the image of `provided.al2023`.
const LAMBDA_TRUST_BUNDLE: &str = "/etc/pki/tls/certs/ca-bundle.crt";

/// How long a TCP connection may take: a fraction of an attempt.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(250);

type Connections = Client<HttpsConnector<Tcp>, SdkBody>;

/// The client of AWS clients.
pub(super) fn client() -> SharedHttpClient {
    http_client_fn(|_, _| SharedHttpConnector::new(Https))
}

/// Sends requests over connections that the whole process shares, made by the first of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Https;

impl HttpConnector for Https {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        static MADE: OnceLock<Result<Connections, rustls::Error>> = OnceLock::new();
        let made = MADE.get_or_init(|| connections(roots()));
        match (made, request.try_into_http1x()) {
            (Ok(connections), Ok(request)) => {
                HttpConnectorFuture::new(answer(connections.clone(), request))
            }
            (Err(error), _) => refused(error.clone()),
            (_, Err(error)) => refused(error),
        }
    }
}

fn refused(error: impl std::error::Error + Send + Sync + 'static) -> HttpConnectorFuture {
    HttpConnectorFuture::ready(Err(ConnectorError::user(error.into())))
}

/// Whatever fails on the way is I/O, which the SDK tries again: every write is conditional.
async fn answer(
    connections: Connections,
    request: http::Request<SdkBody>,
) -> Result<HttpResponse, ConnectorError> {
    let answer = connections.request(request).await;
    let answer = answer.map_err(|error| ConnectorError::io(error.into()))?;
    let answer = HttpResponse::try_from(answer.map(SdkBody::from_body_1_x));
    answer.map_err(|error| ConnectorError::other(error.into(), None))
}

fn connections(roots: RootCertStore) -> Result<Connections, rustls::Error> {
    let tls = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let tls = tls.with_safe_default_protocol_versions()?.with_root_certificates(roots);
    let mut tcp = Tcp::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    let connector = HttpsConnectorBuilder::new().with_tls_config(tls.with_no_client_auth());
    let connector = connector.https_or_http().enable_http1().wrap_connector(tcp);
    let mut connections = Client::builder(TokioExecutor::new());
    Ok(connections.pool_timer(TokioTimer::new()).build(connector))
}

/// Who vouches for servers: the bundle that `SSL_CERT_FILE` names, else the platform's, else wherever the
/// operating system has it. What in it is no certificate is passed over.
fn roots() -> RootCertStore {
    let named = variable("SSL_CERT_FILE");
    let certificates = match fs::read(named.as_deref().unwrap_or(LAMBDA_TRUST_BUNDLE)) {
        Ok(bundle) => certificates(&bundle),
        Err(error) if named.is_some() => {
            tracing::error!(%error, "the file that SSL_CERT_FILE names cannot be read");
            Vec::new()
        }
        Err(_) => rustls_native_certs::load_native_certs().certs,
    };
    let mut roots = RootCertStore::empty();
    if roots.add_parsable_certificates(certificates).0 == 0 {
        tracing::error!("there is no certificate to trust: AWS cannot be reached over TLS");
    }
    roots
}

/// The certificates of a bundle in PEM (RFC 7468), whose remarks may be in any encoding. The library that reads PEM for
/// TLS decodes all of it in constant time, as private keys need it; certificates are public.
fn certificates(bundle: &[u8]) -> Vec<CertificateDer<'static>> {
    let bundle = String::from_utf8_lossy(bundle);
    let sections = bundle.split("-----BEGIN CERTIFICATE-----").skip(1);
    let certificates = sections.filter_map(|section| {
        let (base64, _) = section.split_once("-----END CERTIFICATE-----")?;
        let base64: String = base64.lines().map(str::trim).collect();
        Some(STANDARD.decode(base64).ok()?.into())
    });
    certificates.collect()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use rustls::ServerConfig;
    use rustls::pki_types::PrivatePkcs8KeyDer;
    use rustls::pki_types::pem::PemObject as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    type Authority = CertifiedIssuer<'static, KeyPair>;

    fn authority() -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    /// A server whose certificate that authority has signed. It answers every request of a connection, with the
    /// number of the connection.
    async fn serve(authority: &Authority) -> String {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, authority).unwrap().der().clone();
        let tls = ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let tls = tls.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let tls = tls.with_single_cert(vec![certificate], key).unwrap();
        let (tls, listener) = (
            TlsAcceptor::from(Arc::new(tls)),
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap(),
        );
        let address = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
        tokio::spawn(async move {
            for number in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                let Ok(mut stream) = tls.accept(stream).await else { continue };
                tokio::spawn(async move {
                    let mut request = [0; 4096];
                    while stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                        let answer =
                            format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{number}");
                        stream.write_all(answer.as_bytes()).await.unwrap();
                    }
                });
            }
        });
        address
    }

    fn trusting(bundle: impl AsRef<[u8]>) -> Connections {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates(bundle.as_ref()));
        connections(roots).unwrap()
    }

    async fn get(connections: &Connections, address: &str) -> Result<Vec<u8>, ConnectorError> {
        let request = http::Request::get(address).body(SdkBody::empty()).unwrap();
        let body = answer(connections.clone(), request).await?.into_body();
        let body = aws_smithy_types::byte_stream::ByteStream::new(body).collect().await;
        Ok(body.unwrap().to_vec())
    }

    #[tokio::test]
    async fn requests_go_over_one_connection_to_whom_the_bundle_vouches_for() {
        let authority = authority();
        let (address, connections) = (serve(&authority).await, trusting(authority.pem()));
        for _ in 0..3 {
            assert_eq!(get(&connections, &address).await.unwrap(), b"0");
        }
    }

    #[tokio::test]
    async fn nothing_is_sent_to_whom_nobody_vouches_for() {
        let address = serve(&authority()).await;
        let error = get(&trusting(authority().pem()), &address).await.unwrap_err();
        assert!(error.is_io(), "so that the SDK tries again");
        assert!(format!("{error:?}").contains("InvalidCertificate"), "{error:?}");
    }

    #[tokio::test]
    async fn what_is_no_certificate_hides_none() {
        let authority = authority();
        let pem = authority.pem();
        let begin = "-----BEGIN CERTIFICATE-----";
        let (empty, cut) = ("-----END CERTIFICATE-----", &pem[..pem.len() / 2]);
        let bundle = format!("# Ours\n{begin}\n!\n{empty}\n{begin}{empty}\n{cut}\n{pem}{cut}");
        let bundle = [b"# Espa\xf1a\n", bundle.as_bytes()].concat();
        let address = serve(&authority).await;
        assert_eq!(get(&trusting(&bundle), &address).await.unwrap(), b"0");
    }

    #[test]
    fn a_bundle_is_read_as_libraries_read_it() {
        let bundle: String = (0..3).map(|_| authority().pem() + "# another\r\n").collect();
        let theirs = CertificateDer::pem_slice_iter(bundle.as_bytes()).map(Result::unwrap);
        let ours = certificates(bundle.as_bytes());
        assert_eq!(ours.len(), 3);
        assert!(theirs.eq(ours));
    }
}
