//! Nothing that is printed or kept tells a secret: neither what `Debug` shows of a type, nor what a request
//! or a response shows of its headers, nor a line of the log, nor an item of the table.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use authorizer::Event;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use bytes::Bytes;
use http::{Method, Request};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::Value;
use session::http::{RequestSession, TokenHeaders, TransferMethod, VerifyOptions, create, verify};
use session::model::{Clock as _, Device, NewSession};
use session::service::AntiCsrfProof;
use session::token::{UnverifiedAccessToken, UnverifiedRefreshToken};
use testkit::clock::START;
use testkit::front_door::shape;
use testkit::harness::Tokens;
use testkit::{Fault, Harness, keys};
use tracing::Dispatch;
use tracing::subscriber::{DefaultGuard, NoSubscriber};
use tracing_subscriber::fmt::MakeWriter;

use crate::effects::claims;
use crate::route::{layer, ok, send, sessions};

/// Types that can hold any text, and so a secret.
const TEXTS: [&str; 10] = [
    "String",
    "str",
    "BYTES",
    "Bytes",
    "Cow",
    "HeaderMap",
    "HeaderValue",
    "Map",
    "Request",
    "Value",
];

/// What says that a text is none, on the line before it or before the first of several.
const PRINTABLE: &str = "// Printable: ";

/// Sources that never see a token: `model` has no bytes of them, `config` no requests. Those of errors,
/// whose texts are what they are for, are known by their derive.
const BLIND: [&str; 4] =
    ["session/src/model", "session/src/config", "session/src/error.rs", "authorizer/src/config.rs"];

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            into.push(path);
        }
    }
}

/// The words of a line of code that name types which can hold any text.
fn texts(line: &str, aliases: &[String]) -> Vec<String> {
    let code = line.split("//").next().unwrap_or_default().replace("&'static str", "");
    let code = code.replace("Vec<u8>", "BYTES").replace("[u8", "BYTES");
    let words = code.split(|c: char| !c.is_alphanumeric() && c != '_').map(str::to_owned);
    let words = words.filter(|word| TEXTS.contains(&word.as_str()) || aliases.contains(word));
    words.collect()
}

/// Every type of the product that shows its fields shows no text, unless it says why that is none.
#[test]
fn what_derives_debug_holds_no_text_that_could_be_a_secret() {
    let mut files = Vec::new();
    for folder in ["shared", "functions"] {
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder), &mut files);
    }
    files.retain(|file| !BLIND.iter().any(|blind| file.to_string_lossy().contains(blind)));
    let files: Vec<_> =
        files.iter().map(|file| (file, fs::read_to_string(file).unwrap())).collect();
    let lines = files.iter().flat_map(|(_, source)| source.lines());
    let aliases = lines.filter_map(|line| {
        let (name, of) = line.split_once("type ")?.1.split_once('=')?;
        (!texts(of, &[]).is_empty()).then(|| name.trim().to_owned())
    });
    let aliases: Vec<_> = aliases.collect();

    let (mut seen, mut problems) = (0, Vec::new());
    for (file, source) in &files {
        let source = source.split("#[cfg(test)]").next().unwrap();
        let mut lines = source.lines().peekable();
        while let Some(line) = lines.next() {
            let derives_debug = line.starts_with("#[derive(") && line.contains("Debug");
            if !derives_debug || line.contains("thiserror") {
                continue;
            }
            seen += 1;
            let is_end = |line: &str| line == "}" || line.ends_with(';') || line.ends_with("{}");
            let mut is_printable = false;
            for line in lines.by_ref() {
                let text = line.trim();
                if text.starts_with("//") || text.starts_with('#') || text.is_empty() {
                    is_printable |= text.starts_with(PRINTABLE);
                    continue;
                }
                let found = texts(text.split_once(": ").map_or(text, |(_, of)| of), &aliases);
                if !found.is_empty() && !is_printable {
                    problems.push(format!("{}: {text}", file.display()));
                }
                if is_end(line) {
                    break;
                }
            }
        }
    }
    assert!(seen > 30, "{seen} types were found");
    assert!(problems.is_empty(), "print a secret, or say why not:\n{}", problems.join("\n"));
}

/// What one session has that nobody may read in a log.
struct Secrets(Vec<String>);

impl Secrets {
    fn told_by(&self, what: &str, printed: &str) {
        for secret in &self.0 {
            assert!(!printed.contains(secret.as_str()), "{what} tells {secret}: {printed}");
        }
    }
}

#[tokio::test]
async fn nothing_that_holds_tokens_tells_them() {
    let stack = Harness::new(&[("ANTI_CSRF", "VIA_TOKEN")]).await;
    let tokens = stack.sign_in("cookie").await;
    let claims = claims(&tokens.access);
    let hash = claims["refreshTokenHash1"].as_str().unwrap().to_owned();
    let (access, signature) = tokens.access.rsplit_once('.').unwrap();
    let secrets = Secrets(vec![
        access.to_owned(),
        signature.to_owned(),
        tokens.refresh.clone(),
        tokens.anti_csrf.clone(),
        tokens.front.clone(),
        hash,
    ]);
    let line = format!("{}; {}", tokens.access_cookie(), tokens.refresh_cookie());
    let request = Request::post("/auth/session/refresh")
        .header("cookie", &line)
        .header("anti-csrf", &tokens.anti_csrf)
        .body(())
        .unwrap();
    let (service, now) = (sessions(&stack), stack.clock.now());

    let verified =
        verify(&service, &request, VerifyOptions::default(), now).await.unwrap().unwrap();
    secrets.told_by("Verified", &format!("{verified:?} {:?}", verified.token.claims));
    let unverified = UnverifiedAccessToken::parse(&tokens.access).unwrap();
    secrets.told_by("UnverifiedAccessToken", &format!("{unverified:?}"));
    let unverified = UnverifiedRefreshToken::parse(&tokens.refresh).unwrap();
    let claims = unverified.verify(&keys::master()).unwrap();
    secrets.told_by("UnverifiedRefreshToken", &format!("{unverified:?} {claims:?}"));
    let proof = AntiCsrfProof::Token(Some(&tokens.anti_csrf));
    secrets.told_by("AntiCsrfProof", &format!("{proof:?}"));

    // The same tokens come again: who asks within the window gets what the first got.
    let refreshed = service.refresh(&unverified, proof, &Device::default(), now).await.unwrap();
    let issued = &refreshed.tokens;
    let secrets = Secrets(
        [
            secrets.0,
            vec![
                issued.access.token.rsplit_once('.').unwrap().1.to_owned(),
                issued.refresh.expose().to_owned(),
                issued.refresh.hash(),
                issued.front.clone(),
                issued.anti_csrf.clone().unwrap(),
            ],
        ]
        .concat(),
    );
    secrets
        .told_by("Refreshed", &format!("{refreshed:?} {:?} {:?}", issued.access, issued.refresh));
    let mut headers = TokenHeaders::new(&stack.config, request.headers());
    for method in [TransferMethod::Cookie, TransferMethod::Header] {
        headers.attach(method, issued, now);
    }
    secrets.told_by("TokenHeaders", &format!("{headers:?}"));
    let mut response = http::Response::new(());
    headers.apply(response.headers_mut());
    secrets.told_by("a response", &format!("{response:?}"));

    let with_body = request.clone().map(|()| Bytes::new());
    let event = shape::http_api_2(&with_body);
    let printed = format!("{:?}", Event::recognise(&event.to_string()).unwrap().request);
    secrets.told_by("a request of an event", &printed.replace(&tokens.anti_csrf, ""));
}

#[tokio::test]
async fn no_session_object_tells_its_tokens() {
    let stack = Harness::new(&[]).await;
    let service = sessions(&stack);
    let request = Request::post("/").header("st-auth-mode", "header").body(()).unwrap();
    let new = NewSession::for_user("user-1");
    let rng = &mut StdRng::seed_from_u64(1);
    let created = create(&service, &request, new, Device::default(), START, rng).await.unwrap();
    let mut response = http::Response::new(());
    created.clone().apply(response.headers_mut());
    let access = response.headers()["st-access-token"].to_str().unwrap().to_owned();
    let (_, signature) = access.rsplit_once('.').unwrap();
    let secrets = Secrets(vec![signature.to_owned()]);
    secrets.told_by("TokenHeaders", &format!("{created:?}"));
    let bearer = format!("Bearer {access}");
    let headers = [("authorization", bearer.as_str())];
    let printed = Arc::new(Mutex::new(String::new()));
    let seen = Arc::clone(&printed);
    let handler = move |session: Option<RequestSession>| {
        let seen = Arc::clone(&seen);
        async move {
            let session = session.unwrap();
            session.set_claim_value("x", Value::from(1)).await?;
            *seen.lock().unwrap() = format!("{session:?} {:?}", session.tokens());
            ok()
        }
    };
    send(&layer(&stack), (Method::GET, "/"), &headers, handler).await.unwrap();
    let printed = printed.lock().unwrap();
    assert!(printed.contains("SessionTokens"));
    secrets.told_by("RequestSession", &printed);
    assert!(!printed.contains("eyJ"), "{printed}");
}

/// The life of a session, from which all its tokens are returned: refreshed, asked again within the window,
/// forged, met by a store that fails, stolen, over.
async fn life(stack: &Harness, mode: &str) -> Vec<Tokens> {
    let refresh = async |tokens: &Tokens, changed: &str| {
        let (cookie, bearer) =
            (tokens.refresh_cookie() + changed, tokens.refresh_bearer() + changed);
        let by_cookie = [("cookie", cookie.as_str()), ("anti-csrf", &tokens.anti_csrf)];
        let by_header = [("authorization", bearer.as_str())];
        stack.refresh(if mode == "cookie" { &by_cookie } else { &by_header }).await
    };
    let mut all = vec![stack.sign_in(mode).await];
    for _ in 0..5 {
        stack.clock.advance(stack.config.refresh.window() * 2);
        for _ in 0..2 {
            let response = refresh(all.last().unwrap(), "").await;
            assert_eq!(response.status(), 200);
            all.push(Tokens::of(&response));
        }
    }
    let newest = all.last().unwrap();
    assert_eq!(refresh(newest, "x").await.status(), 401);
    stack.wire.script([Some(Fault::AccessDenied)]);
    assert_eq!(refresh(newest, "").await.status(), 500);
    stack.clock.advance(stack.config.refresh.window() * 2);
    for _ in ["theft", "over"] {
        assert_eq!(refresh(&all[0], "").await.status(), 401);
    }
    let other = stack.sign_in(mode).await;
    let (cookie, bearer) = (other.access_cookie(), other.access_bearer());
    let header = if mode == "cookie" { ("cookie", &cookie) } else { ("authorization", &bearer) };
    let headers = [(header.0, header.1.as_str()), ("anti-csrf", &other.anti_csrf)];
    assert_eq!(stack.send(Method::GET, "/api/me", &headers).await.status(), 200);
    assert_eq!(stack.sign_out(&headers).await.status(), 200);
    all.push(other);
    all
}

/// All that makes those tokens worth anything.
fn secrets_of(all: &[Tokens]) -> Secrets {
    let secrets = all.iter().flat_map(|tokens| {
        let signature = tokens.access.rsplit('.').next().unwrap();
        let proof = &tokens.refresh[tokens.refresh.len() - 24..];
        let hash = claims(&tokens.access)["refreshTokenHash1"].as_str().unwrap().to_owned();
        [
            signature.to_owned(),
            proof.to_owned(),
            tokens.front.clone(),
            tokens.anti_csrf.clone(),
            hash,
        ]
    });
    Secrets(secrets.filter(|secret| !secret.is_empty()).collect())
}

/// What is logged, to look at afterwards.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Everything that this thread logs until this is dropped, at every level, the libraries' lines too.
    ///
    /// Of one dispatcher alone, only the thread that meets a line first is asked whether it listens: with
    /// several tests at once that may be another one.
    pub(crate) fn listen(&self) -> (Dispatch, DefaultGuard) {
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(self.clone())
            .finish();
        (Dispatch::new(NoSubscriber::new()), tracing::subscriber::set_default(subscriber))
    }

    pub(crate) fn lines(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn no_line_of_the_log_tells_a_token() {
    let log = Log::default();
    let _listening = log.listen();
    for mode in ["cookie", "header"] {
        let stack = Harness::new(&[("ANTI_CSRF", "VIA_TOKEN")]).await;
        let secrets = secrets_of(&life(&stack, mode).await);
        let lines = log.lines();
        assert!(lines.contains("refresh token reuse"), "{lines}");
        secrets.told_by("a line of the log", &lines);
    }
}

#[tokio::test]
async fn no_item_of_a_session_equals_a_token() {
    for mode in ["cookie", "header"] {
        let stack = Harness::new(&[("ANTI_CSRF", "VIA_TOKEN")]).await;
        let secrets = secrets_of(&life(&stack, mode).await);
        let table = local::dynamodb::client(stack.wire.engine().clone());
        let items = table.scan().table_name(local::dynamodb::SESSIONS_TABLE).send().await.unwrap();
        let items = items.items.unwrap();
        assert_eq!(items.len(), 1);
        for (name, value) in &items[0] {
            let text = match value.as_b() {
                Ok(bytes) => BASE64URL.encode(bytes),
                Err(value) => format!("{value:?}"),
            };
            secrets.told_by(name, &text);
        }
    }
}
