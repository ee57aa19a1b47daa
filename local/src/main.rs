//! `cargo run -p local`: the stack on this machine.

use std::io::IsTerminal as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use authorizer::AuthorizerConfig;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use bootstrap::SystemClock;
use bytes::Bytes;
use clap::Parser;
use core_driver::CoreConfig;
use http::{Request, Response, StatusCode};
use local::dynamodb::{Embedded, client, create_tables, store_of};
use local::functions::{Binaries, Functions};
use local::gateway::{Cors, MAX_BODY_BYTES};
use local::invoke::InvokeApi;
use local::stack::{CORE_PATH, Stack, with_sign_in_examples};
use revoke::LogoutConfig;
use serde_json::json;
use session::SessionConfig;
use session::model::Clock;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How often keys are looked after, as in `template.yaml`.
const ROTATION_PERIOD: Duration = Duration::from_hours(1);

/// Sesam on this machine: every function, an embedded `DynamoDB`, an example application.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    host: IpAddr,
    /// Port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// Keep sessions and keys in this folder instead of in memory
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Offer the embedded `DynamoDB` on this port too, to `sam local` and the AWS CLI
    #[arg(long, value_name = "PORT")]
    dynamodb_port: Option<u16>,
    /// Run the built functions as processes behind Lambda's Runtime API: those beside this program, or in
    /// this folder of `cargo lambda build` or `sam build`
    #[arg(long, value_name = "DIR", num_args = 0..=1)]
    #[expect(clippy::option_option, reason = "how clap says that a value may be left out")]
    binaries: Option<Option<PathBuf>>,
    /// Put these items into the tables first, such as those of events/tables.json
    #[arg(long, value_name = "FILE")]
    items: Option<PathBuf>,
    /// How long an access token is valid; 3600 unless a setting says otherwise
    #[arg(long, value_name = "SECONDS")]
    access_token_ttl: Option<u64>,
    /// F, the longest time from sending a refresh to storing its answer; 30 unless access tokens live
    /// less than 10 minutes
    #[arg(long, value_name = "SECONDS")]
    refresh_flight: Option<u64>,
    /// Any other setting, such as `ANTI_CSRF=VIA_TOKEN`; see docs/configuration.md
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    settings: Vec<(String, String)>,
}

fn known() -> Vec<&'static str> {
    let logout = LogoutConfig::variables();
    [SessionConfig::variables(), AuthorizerConfig::variables(), core_variables(), logout].concat()
}

/// Keys in a secret are for AWS.
fn core_variables() -> Vec<&'static str> {
    let mut variables = CoreConfig::variables();
    variables.retain(|name| *name != "CORE_API_KEYS_SECRET");
    variables
}

fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if known().contains(&name) => Ok((name.to_owned(), value.to_owned())),
        Some((name, _)) => {
            Err(format!("{name} is not a setting; there are {}", known().join(", ")))
        }
        None => Err("write NAME=VALUE".to_owned()),
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| "warn,session=info".into()),
        )
        .init();
    let arguments = Arguments::parse();
    let listener = listen(arguments.host, arguments.port, "--port").await?;
    let url = format!("http://{}", listener.local_addr()?);

    let config = SessionConfig::from_lookup(|name| arguments.value(name, &url))?;
    let authorizer = AuthorizerConfig::from_lookup(|name| arguments.value(name, &url))?;
    let engine = match &arguments.data {
        Some(folder) => Embedded::in_folder(folder)?,
        None => Embedded::in_memory()?,
    };
    create_tables(&client(engine.clone())).await?;
    if let Some(file) = &arguments.items {
        engine.load(file)?;
    }
    if let Some(port) = arguments.dynamodb_port {
        tokio::spawn(engine.clone().serve(listen(arguments.host, port, "--dynamodb-port").await?));
    }
    let origins = config.websites.iter().map(|website| website.origin.to_string());
    let cors = Cors { allowed_origins: origins.collect() };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let core_config = CoreConfig::from_lookup(|name| arguments.value(name, &url))?;
    let logout = LogoutConfig::from_lookup(|name| arguments.value(name, &url))?;
    let has_keys = core_config.api_keys.is_some();
    let invoke_api = InvokeApi::bind().await?;
    let invoke_url = invoke_api.url().to_owned();
    let examples = |gateway| with_sign_in_examples(gateway, &invoke_api);
    let database = client(engine.clone());
    let functions = if let Some(folder) = arguments.binaries.clone() {
        Functions::built(&arguments.binaries_in(folder, &url, engine).await?)?
    } else {
        let store = store_of(database.clone(), &config.app_id);
        Functions::in_process(&config, authorizer, core_config, logout, &store, &clock)
    };
    let stack =
        Stack::start_with(&config, functions, database, clock, Some(cors), examples).await?;
    let stack = Arc::new(stack);
    let functions = stack.functions();
    tokio::spawn(invoke_api.serve(vec![
        ("create-session", functions.create_session.clone()),
        ("revoke", functions.revoke.clone()),
        ("rotate-keys", functions.rotate_keys.clone()),
    ]));

    tracing::warn!("private keys lie unsealed in the embedded table: never use them elsewhere");
    tokio::spawn(rotate_hourly(Arc::clone(&stack)));

    let terminate = signal(SignalKind::terminate()).context("waiting for SIGTERM")?;
    greet(&url, &arguments, &config, has_keys, &invoke_url);
    let app = Router::new().fallback(answer).with_state(stack);
    axum::serve(listener, app).with_graceful_shutdown(interrupted(terminate)).await?;
    Ok(())
}

async fn listen(host: IpAddr, port: u16, flag: &str) -> anyhow::Result<TcpListener> {
    let address = SocketAddr::new(host, port);
    TcpListener::bind(address).await.with_context(|| {
        format!("{address} cannot be listened on; choose another port with {flag}")
    })
}

impl Arguments {
    fn value(&self, name: &str, url: &str) -> Option<String> {
        let set = self.settings.iter().rev().find(|(key, _)| key == name);
        let flag = match name {
            "API_DOMAIN" | "WEBSITE_DOMAIN" => Some(url.to_owned()),
            "ACCESS_TOKEN_TTL_SECONDS" => self.access_token_ttl.map(|seconds| seconds.to_string()),
            "REFRESH_FLIGHT_SECONDS" => self.refresh_flight.map(|seconds| seconds.to_string()),
            _ => None,
        };
        set.map(|(_, value)| value.clone()).or(flag)
    }

    /// The built functions, with the settings of this stack and its tables.
    async fn binaries_in(
        &self,
        folder: Option<PathBuf>,
        url: &str,
        tables: Embedded,
    ) -> anyhow::Result<Binaries> {
        let beside_this = || Some(std::env::current_exe().ok()?.parent()?.to_owned());
        let folder = folder.or_else(beside_this).context("this program is in no folder")?;
        let settings =
            known().into_iter().filter_map(|name| Some((name.to_owned(), self.value(name, url)?)));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let tables_url = format!("http://{}", listener.local_addr()?);
        tokio::spawn(tables.serve(listener));
        Ok(Binaries::new(folder, settings.collect(), tables_url))
    }
}

async fn answer(State(stack): State<Arc<Stack>>, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    // One byte more than is allowed, so that the gateway model sees that it is too much.
    let Ok(body) = axum::body::to_bytes(body, MAX_BODY_BYTES + 1).await else {
        let mut response = Response::new(Body::from(r#"{"message":"Request Entity Too Large"}"#));
        *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
        return response;
    };
    let request: Request<Bytes> = Request::from_parts(parts, body);
    stack.handle(request).await.map(Body::from)
}

/// What `EventBridge` Scheduler does on AWS.
async fn rotate_hourly(stack: Arc<Stack>) {
    let mut hours = tokio::time::interval(ROTATION_PERIOD);
    hours.tick().await; // The first is now, and the start has done it.
    loop {
        hours.tick().await;
        if let Err(error) = stack.functions().rotate_keys.invoke(json!({})).await {
            tracing::error!(error.error_message, "the keys could not be rotated");
        }
    }
}

/// Ctrl-C, or a polite request to end from whoever started the process.
async fn interrupted(mut terminate: Signal) {
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

#[expect(clippy::print_stdout, reason = "this is a command line tool talking to its user")]
fn greet(
    url: &str,
    arguments: &Arguments,
    config: &SessionConfig,
    has_keys: bool,
    invoke_url: &str,
) {
    println!("Sesam runs at {url}\n");
    if Stack::has_page_bundle() {
        println!("  open {url} and sign in as anybody");
    } else {
        println!(
            "  the demo page needs its SDK bundle: run `make page` (needs Node); all APIs work"
        );
    }
    println!("  or: curl -i {url}/example/signin -H 'content-type: application/json' \\");
    println!("        -d '{{\"userId\":\"alice\"}}'");
    println!("      then send st-access-token as `Authorization: Bearer …` to {url}/api/me\n");
    let key = if has_keys { "its API key" } else { "no API key" };
    println!("  back ends with a SuperTokens SDK: connectionURI {url}{CORE_PATH}, {key}");
    println!(
        "  AWS SDKs: create-session, revoke and rotate-keys at AWS_ENDPOINT_URL_LAMBDA={invoke_url}\n"
    );
    println!(
        "  access tokens live {} s, F is {} s; --access-token-ttl 10 --refresh-flight 2 shows more",
        config.lifetimes.access_token.as_secs(),
        config.refresh.flight().as_secs()
    );
    if arguments.binaries.is_some() {
        println!("  the functions are processes; what they log is on standard error");
    }
    if let Some(port) = arguments.dynamodb_port {
        println!("  DynamoDB at http://{}:{port}, tables Sessions and Keys", arguments.host);
    }
    match &arguments.data {
        Some(folder) => println!("  data is kept in {}", folder.display()),
        None => println!("  data is in memory and gone at the end; keep it with --data DIR"),
    }
    println!("\nCtrl-C stops it.");
}
