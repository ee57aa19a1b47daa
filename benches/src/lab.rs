//! What is measured on: tables with keys, sessions, the core over HTTP, and the settings of all.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use authorizer::AuthorizerConfig;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use axum::Router;
use axum::body::Bytes;
use bootstrap::{SystemClock, system_rng};
use core_driver::CoreConfig;
use jsonwebtoken::jwk::JwkSet;
use lambda_http::{Request, Response};
use local::Stack;
use local::dynamodb::{Embedded, client, store};
use local::functions::Binaries;
use local::stack::CORE_PATH;
use serde_json::{Value, json};
use session::model::{Clock, Device, NewSession};
use session::service::IssuedTokens;
use session::store::DynamoDb;
use session::{SessionConfig, Sessions};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

/// Where the API is said to be.
const API_DOMAIN: &str = "https://api.example.com";
/// What tokens say of their issuer.
pub const ISSUER: &str = "https://api.example.com/auth";
/// Who signs in.
pub const USER: &str = "0b9e3bd6-6c1c-4b4e-9a53-2a64b5a1e6f0";

/// The way to the engine, with a counter.
#[derive(Clone, Debug)]
pub struct Counted {
    engine: Embedded,
    requests: Arc<AtomicU64>,
}

impl HttpConnector for Counted {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.engine.call(request)
    }
}

/// An engine, a session service in this process, and both tables and core on loopback.
pub struct Lab {
    /// Runs what is measured in this process: one thread, as in a function.
    pub runtime: Runtime,
    /// The tables.
    pub engine: Embedded,
    /// The session service.
    pub sessions: Sessions<DynamoDb>,
    /// Where functions of their own process find the tables.
    pub tables_url: String,
    /// Where SDKs find the core.
    pub core_url: String,
    requests: Arc<AtomicU64>,
    settings: Vec<(String, String)>,
}

impl Lab {
    /// Fresh tables with keys for that algorithm.
    pub fn new(algorithm: &str) -> anyhow::Result<Self> {
        let settings = [
            ("API_DOMAIN", API_DOMAIN),
            ("WEBSITE_DOMAIN", "https://example.com"),
            ("SIGNING_ALGORITHM", algorithm),
        ];
        let settings: Vec<_> =
            settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let config = SessionConfig::from_lookup(|name| lookup(&settings, name))?;
        let engine = Embedded::in_memory()?;
        let (tables_url, core_url) = serve(engine.clone(), config.clone())?;
        let requests = Arc::<AtomicU64>::default();
        let wire = Counted { engine: engine.clone(), requests: Arc::clone(&requests) };
        let sessions = Sessions::new(config, store(client(wire)));
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(sessions.preload_signing_keys(SystemClock.now()));
        Ok(Self { runtime, engine, sessions, tables_url, core_url, requests, settings })
    }

    /// Signs a user in, who has a role.
    pub fn sign_in(&self, user_id: &str) -> anyhow::Result<IssuedTokens> {
        let now = SystemClock.now();
        let mut new = NewSession::for_user(user_id);
        let role = json!({ "v": ["member"], "t": now.as_millis() });
        new.access_token_payload.insert("st-role".to_owned(), role);
        let device = Device {
            agent: Some(
                "Mozilla/5.0 (X11; Linux x86_64) Chrome/142.0.0.0 Safari/537.36".to_owned(),
            ),
            network: Some("192.0.2.1".to_owned()),
            ..Device::default()
        };
        let mut rng = system_rng();
        let created = self.sessions.create(new, device, false, now, &mut rng);
        Ok(self.runtime.block_on(created)?)
    }

    /// The published keys.
    pub fn jwks(&self) -> anyhow::Result<JwkSet> {
        let now = SystemClock.now();
        let keys = self.runtime.block_on(self.sessions.published_keys(now))?;
        Ok(keys.context("there are no keys")?.document(now))
    }

    /// How many requests reached the tables from this process since it was asked last.
    pub fn take_requests(&self) -> u64 {
        self.requests.swap(0, Ordering::Relaxed)
    }

    /// The built functions, which lie beside this program.
    pub fn binaries(&self) -> anyhow::Result<Binaries> {
        let folder = built()?;
        let mut settings = self.settings.clone();
        // On Lambda there is one bundle of certificates. Here there is a folder of the same, too.
        settings.push(("SSL_CERT_FILE".to_owned(), CERTIFICATES.to_owned()));
        Ok(Binaries::new(folder, settings, self.tables_url.clone()))
    }
}

/// Debian's bundle of certificates; where there is none, the client looks for itself.
const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The folder that this program was built into.
pub fn built() -> anyhow::Result<std::path::PathBuf> {
    let program = std::env::current_exe()?;
    Ok(program.parent().context("this program is in no folder")?.to_owned())
}

fn lookup(settings: &[(String, String)], name: &str) -> Option<String> {
    settings.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
}

/// Serves tables and stack from a thread of its own; says where.
fn serve(engine: Embedded, config: SessionConfig) -> anyhow::Result<(String, String)> {
    let (tell, told) = std::sync::mpsc::channel();
    let runtime = Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            let served = async {
                let tables = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
                let core = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
                let tables_url = format!("http://{}", tables.local_addr()?);
                let core_url = format!("http://{}{CORE_PATH}", core.local_addr()?);
                let app = stack(engine.clone(), config).await?;
                tokio::spawn(engine.serve(tables));
                anyhow::Ok((core, app, tables_url, core_url))
            };
            match served.await {
                Ok((core, app, tables_url, core_url)) => {
                    let _ = tell.send(Ok((tables_url, core_url)));
                    let _ = axum::serve(core, app).await;
                }
                Err(error) => {
                    let _ = tell.send(Err(error));
                }
            }
        });
    });
    told.recv()?
}

/// The whole stack over that engine, as an HTTP server has it.
pub async fn stack(engine: Embedded, config: SessionConfig) -> anyhow::Result<Router> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (authorizer, core) = (AuthorizerConfig::default(), CoreConfig::from_lookup(|_| None)?);
    let stack = Stack::start(&config, authorizer, core, client(engine), clock, None);
    let stack = Arc::new(stack.await?);
    Ok(Router::new().fallback(move |request: lambda_http::http::Request<axum::body::Body>| {
        let stack = Arc::clone(&stack);
        async move {
            let (parts, body) = request.into_parts();
            let body: Bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
            let request = lambda_http::http::Request::from_parts(parts, body);
            stack.handle(request).await.map(axum::body::Body::from)
        }
    }))
}

/// Where a request with that cookie reaches a function behind an HTTP API, as the events of the repository have it.
pub fn event(text: &str, cookie: &str) -> anyhow::Result<Value> {
    let mut event: Value = serde_json::from_str(text)?;
    event["cookies"] = json!([cookie]);
    Ok(event)
}

/// Answers an event as the `refresh` function does, from bytes to bytes.
pub async fn refresh(sessions: &Sessions<DynamoDb>, event: &[u8]) -> anyhow::Result<Vec<u8>> {
    let service = lambda_http::service_fn(async |request: Request| {
        let answer: Response<String> = refresh::handle(sessions, &SystemClock, request).await;
        Ok::<_, std::convert::Infallible>(answer)
    });
    let event = serde_json::from_slice(event)?;
    let event = lambda_http::LambdaEvent::new(event, lambda_http::Context::default());
    let answer = front_door::invoke(service, event).await;
    let answer = answer.map_err(|error| anyhow::anyhow!(error.error_message))?;
    Ok(serde_json::to_vec(&answer)?)
}
