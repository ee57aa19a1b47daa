//! Nothing that is printed tells a secret: neither what `Debug` shows of a type, nor what a request or a
//! response shows of its headers.

use std::fs;
use std::path::{Path, PathBuf};

use authorizer::Event;
use bytes::Bytes;
use http::{Method, Request};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::Value;
use session::http::{RequestSession, TokenHeaders, TransferMethod, VerifyOptions, create, verify};
use session::model::{Clock as _, Device, NewSession};
use session::service::AntiCsrfProof;
use session::token::{UnverifiedAccessToken, UnverifiedRefreshToken};
use testkit::Harness;
use testkit::clock::START;
use testkit::front_door::shape;
use testkit::keys;

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
    let printed = format!("{:?}", Event::recognise(&event).unwrap().request);
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
    let printed = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let seen = std::sync::Arc::clone(&printed);
    let handler = move |session: Option<RequestSession>| {
        let seen = std::sync::Arc::clone(&seen);
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
