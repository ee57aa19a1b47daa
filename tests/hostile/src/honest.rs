//! The controls: tokens that must be accepted, so that refusing everything is no way to pass.

use super::draft::{Draft, Key};
use super::{Expected, Family};
use testkit::clock::START;

pub(super) fn tokens(family: &mut Family) {
    for key in Key::BOTH {
        let honest = Draft::honest(key);
        let mut accept = |name: &str, draft: &Draft, why: &'static str| {
            family.add(format!("{key:?}: {name}"), draft.sign(), Expected::Accepted(why));
        };
        accept("as minted", &honest, "an honest token (contract 5.1, 5.2)");
        let with_claims = honest
            .clone()
            .claim("roles", r#"["admin","member"]"#)
            .claim("cnf", r#"{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}"#);
        accept("with custom claims", &with_claims, "applications add claims (contract 5.2)");
        let elsewhere = honest
            .clone()
            .claim("iss", r#""https://elsewhere.example""#)
            .claim("aud", r#"["somebody"]"#)
            .claim("iat", &(START.as_secs() + 60).to_string());
        let why =
            "neither iss nor aud nor iat is checked (contract 5.5): the key decides who issued it";
        accept("foreign iss and aud, iat to come", &elsewhere, why);
        let unicode = honest.clone().claim("sub", r#""Zo\u00eb \ud83d\ude00""#);
        accept(
            "escaped Unicode in sub",
            &unicode,
            "JSON has several spellings of a text (RFC 8259 7)",
        );
        let spaced = honest.clone().claim("sub", r#""  user-1 ""#);
        accept("white space around sub", &spaced, "texts are trimmed (contract 5.5)");
        let version_4 = honest.clone().header("version", r#""4""#).without_claim("rsub");
        accept("version 4 without rsub", &version_4, "contract 5.5, V30");
        let version_3 = honest.clone().without_header("version").without_claim("tId");
        accept(
            "no version, no tId, no rsub",
            &version_3.without_claim("rsub"),
            "contract 5.3, V27",
        );
        let version_6 = honest.clone().header("version", r#""6""#);
        accept("version 6", &version_6, "later versions are read as 5 (contract 5.3, V28)");
        let bound = honest.claim("antiCsrfToken", r#""11111111-2222-4333-8444-555555555555""#);
        accept("with an anti-CSRF token", &bound, "contract 4.5");
    }
    let of_static_key = Draft::honest(Key::StaticRsa).sign();
    let why = "static keys sign where they are configured (contract 5.5)";
    family.add("StaticRsa: where static keys sign", of_static_key, Expected::Accepted(why));
    family.where_static_keys_sign();
}
