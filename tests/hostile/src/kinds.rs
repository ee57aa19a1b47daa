//! Tokens of another kind, of another key, of another deployment.

use std::time::Duration;

use session::model::{Generation, UserId};
use session::token::front_token;

use super::Cause::{BadSignature, UnknownKey, WrongKeyKind};
use super::Expected::{Accepted, NotOurs, TryRefresh};
use super::Family;
use super::draft::{Draft, Key, base64url, quoted};
use testkit::clock::START;
use testkit::{events, keys};

pub(super) fn tokens(family: &mut Family) {
    other_tokens(family);
    other_jwts(family);
    other_keys(family);
}

/// Texts that a client holds or that somebody could put in a header, and that are no JWT.
fn other_tokens(family: &mut Family) {
    let session = events::session();
    let refresh = |with_anti_csrf| {
        let token = keys::master().mint(&session.handle, Generation::FIRST, with_anti_csrf);
        token.expose().to_owned()
    };
    let anti_csrf = keys::master().anti_csrf_token(&session.handle, Generation::FIRST);
    let front = front_token(&UserId::new("user-1"), START, &serde_json::Map::new());
    let honest = Draft::honest(Key::Rsa).sign();
    let [header, payload, signature]: [&str; 3] =
        honest.split('.').collect::<Vec<_>>().try_into().unwrap();
    // The header of contract §5.3 that marks version 2, whose payload has other names; nobody can mint it.
    let version_2 = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsInZlcnNpb24iOiIyIn0=";
    for (name, text) in [
        ("refresh token", refresh(false)),
        ("refresh token with anti-CSRF", refresh(true)),
        ("refresh token, twice with dots", format!("{0}.{0}.{0}", refresh(false))),
        ("refresh token of the reference", format!("{}.{}.V2", "a+/b==", "0".repeat(32))),
        ("front token", front.clone()),
        ("front token with dots", format!("{front}.{front}.{front}")),
        ("anti-CSRF token", anti_csrf),
        ("session handle", session.handle.to_string()),
        ("user id", "user-1".to_owned()),
        ("hash of a refresh token", "0".repeat(64)),
        ("payload as JSON", Draft::honest(Key::Rsa).payload_text()),
        ("cookie line", format!("sAccessToken={honest}")),
        ("access token of version 2", format!("{version_2}.{payload}.{signature}")),
        ("basic credentials", "dXNlcjpwYXNzd29yZA==".to_owned()),
        ("API key", "sk_live_0123456789abcdef".to_owned()),
        ("GitHub token", "ghp_0123456789abcdefghijABCDEFGHIJ012345".to_owned()),
        ("PASETO", format!("v4.public.{payload}{signature}")),
        ("Macaroon", "MDAxY2xvY2F0aW9uIGh0dHBzOi8vZXhhbXBsZS5jb20K".to_owned()),
        (
            "Branca",
            "870S4BYxgHw0KnP3W9fgVUHEhT5g86vJ17etaC5Kh5uIraWHCI1psNQGv298ZmjPwoYbjDQ9chy2z"
                .to_owned(),
        ),
        ("SAML", "PHNhbWxwOlJlc3BvbnNlPjwvc2FtbHA6UmVzcG9uc2U+".to_owned()),
        ("X.509", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n".to_owned()),
        ("JWS with detached payload", format!("{header}..{signature}")),
        ("null", "null".to_owned()),
        ("undefined", "undefined".to_owned()),
        ("[object Object]", "[object Object]".to_owned()),
        ("URL", "https://user.example.com/.well-known".to_owned()),
        ("IP address with dots", "192.0.2".to_owned()),
        ("version number", "1.2.3".to_owned()),
    ] {
        family.add(format!("other kind: {name}"), text, NotOurs);
    }
}

/// JWTs that our own keys could sign, for other purposes (RFC 8725 §3.12).
fn other_jwts(family: &mut Family) {
    let bare = |key: Key, claims: &[(&str, &str)]| {
        let mut draft = Draft::honest(key);
        for name in ["sub", "rsub", "tId", "sessionHandle", "refreshTokenHash1"] {
            draft = draft.without_claim(name);
        }
        for (name, json) in claims {
            draft = draft.claim(name, json);
        }
        draft
    };
    for key in Key::BOTH {
        // As `createJWT` makes them (contract §5.9): no version in the header.
        let created =
            bare(key, &[("sub", r#""user-1""#), ("data", "{}")]).without_header("version");
        family.add(format!("{key:?}: JWT of the application"), created.sign(), NotOurs);
        let forever = created.claim("exp", "4853000000").claim("sessionHandle", r#""h""#);
        family.add(
            format!("{key:?}: JWT of the application that names a session"),
            forever.sign(),
            NotOurs,
        );
        let oauth = Draft::honest(key).claim("stt", "1").header("typ", r#""at+jwt""#);
        family.add(format!("{key:?}: OAuth access token"), oauth.sign(), NotOurs);
        let oauth = Draft::honest(key).claim("stt", "1").claim("client_id", r#""c""#);
        family.add(format!("{key:?}: OAuth access token of type JWT"), oauth.sign(), NotOurs);
        for (name, claims) in [
            (
                "ID token",
                &[
                    ("sub", r#""user-1""#),
                    ("aud", r#""c""#),
                    ("nonce", r#""n""#),
                    ("at_hash", r#""h""#),
                ][..],
            ),
            (
                "ID token of Cognito",
                &[("sub", r#""user-1""#), ("token_use", r#""id""#), ("cognito:username", r#""u""#)],
            ),
            (
                "access token of Cognito",
                &[("sub", r#""user-1""#), ("token_use", r#""access""#), ("client_id", r#""c""#)],
            ),
            ("logout token", &[("sub", r#""user-1""#), ("sid", r#""s""#), ("events", "{}")]),
            (
                "DPoP proof",
                &[("jti", r#""j""#), ("htm", r#""GET""#), ("htu", r#""https://api.example.com/""#)],
            ),
            (
                "client assertion",
                &[
                    ("sub", r#""client""#),
                    ("aud", r#""https://api.example.com/""#),
                    ("jti", r#""j""#),
                ],
            ),
            ("introspection response", &[("token_introspection", r#"{"active":true}"#)]),
            ("security event", &[("events", "{}"), ("txn", r#""t""#)]),
            ("verifiable credential", &[("vc", "{}"), ("sub", r#""did:example:1""#)]),
            (
                "session of version 2",
                &[
                    ("userId", r#""user-1""#),
                    ("userData", "{}"),
                    ("expiryTime", "1700003600000"),
                    ("timeCreated", "1700000000000"),
                    ("sessionHandle", r#""h""#),
                    ("refreshTokenHash1", r#""x""#),
                ],
            ),
        ] {
            family.add(format!("{key:?}: {name}"), bare(key, claims).sign(), NotOurs);
        }
        let signature = key.sign(&Draft::honest(key).message());
        let nested = Draft::honest(key).header("cty", r#""JWT""#);
        let nested = nested.sign_payload(Draft::honest(key).sign().as_bytes());
        family.add(format!("{key:?}: JWT inside a JWT"), nested, NotOurs);
        let encrypted =
            Draft::honest(key).header("alg", r#""RSA-OAEP""#).header("enc", r#""A128GCM""#);
        let encrypted = format!(
            "{}.{}.{}.{}.{}",
            base64url(encrypted.header_text().as_bytes()),
            base64url(&signature),
            base64url(&[0; 12]),
            base64url(encrypted.payload_text().as_bytes()),
            base64url(&[0; 16]),
        );
        family.add(format!("{key:?}: JWE"), encrypted, NotOurs);
    }
}

/// Keys of another time, another deployment or the other kind.
fn other_keys(family: &mut Family) {
    const YEAR: Duration = Duration::from_secs(31_536_000);
    for (key, foreign) in [(Key::Rsa, Key::ForeignRsa), (Key::Ec, Key::ForeignEc)] {
        let honest = Draft::honest(key);
        let elsewhere = honest.clone().signed_by(foreign);
        for (name, draft, expected) in [
            (
                "another environment with a key of that name",
                elsewhere.clone().claim("iss", r#""https://api.staging.example.com/auth""#),
                TryRefresh(BadSignature),
            ),
            (
                "another environment",
                elsewhere.clone().header("kid", r#""d-1699999990000""#),
                TryRefresh(UnknownKey),
            ),
            (
                "a key that is not published yet",
                elsewhere.clone().header("kid", r#""d-1800000000000""#),
                TryRefresh(UnknownKey),
            ),
            (
                "a static key that was never published",
                elsewhere.header("kid", r#""s-00000000-0000-4000-8000-000000000000""#),
                TryRefresh(UnknownKey),
            ),
            (
                "an application in the same set",
                honest.clone().claim("iss", r#""https://other.example/auth""#),
                Accepted("the key decides who issued it; iss is not checked (contract 5.5)"),
            ),
        ] {
            family.add(format!("{key:?}: of {name}"), draft.sign(), expected);
        }
        let early = START.minus(YEAR);
        let why = "a key counts as long as it is published; clocks differ";
        family.add_at(early, format!("{key:?}: a year early"), honest.sign(), Accepted(why));
        family.add(
            format!("{key:?}: of a dynamic key where static ones are required"),
            honest.sign(),
            TryRefresh(WrongKeyKind),
        );
        family.where_static_keys_sign();
    }
    for (key, expected) in [
        (Key::Next, Accepted("published and not signing yet: the signer's clock may be ahead")),
        (Key::Retiring, Accepted("believed until the last token that it signed has expired")),
        (Key::Removed, TryRefresh(UnknownKey)),
    ] {
        family.add(
            format!("{key:?}: of a key in this part of its life"),
            Draft::honest(key).sign(),
            expected,
        );
    }
    let fixed = Draft::honest(Key::StaticRsa);
    family.add(
        "StaticRsa: where dynamic keys are required",
        fixed.sign(),
        TryRefresh(WrongKeyKind),
    );
    let created =
        fixed.clone().without_header("version").without_claim("rsub").without_claim("tId");
    family.add(
        "StaticRsa: JWT of the application with all session claims",
        created.sign(),
        TryRefresh(WrongKeyKind),
    );
    let why = "nothing tells it from a session's token, so create_jwt refuses session claims";
    family.add("StaticRsa: the same where static keys sign", created.sign(), Accepted(why));
    family.where_static_keys_sign();
    let renamed = fixed.header("kid", &quoted(keys::DYNAMIC_ID)).sign();
    family.add("StaticRsa: under the name of the dynamic key", renamed, TryRefresh(BadSignature));
}
