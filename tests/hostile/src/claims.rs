//! What the payload can say. Everything here is rightly signed.

use std::time::Duration;

use session::model::Timestamp;

use super::Cause::{Expired, NotYetValid};
use super::Expected::{Accepted, NotOurs, TryRefresh};
use super::Family;
use super::draft::{Draft, Key, quoted};
use super::header::{NO_TEXTS, SAME_VALUE, malformed, respelled};
use testkit::clock::START;

/// The payload is one JSON object with different names, and nothing else.
pub(super) fn texts(family: &mut Family) {
    for key in Key::BOTH {
        let honest = Draft::honest(key);
        for (name, text) in malformed(&honest.payload_text()) {
            family.add(format!("{key:?}: {name}"), honest.sign_payload(&text), NotOurs);
        }
        for (name, text) in respelled(&honest.payload_text(), "sub") {
            let token = honest.sign_payload(text.as_bytes());
            family.add(format!("{key:?}: {name}"), token, Accepted(SAME_VALUE));
        }
        for (claim, json) in [
            ("sub", r#""user-2""#),
            ("sub", r#""user-1""#),
            ("rsub", r#""user-2""#),
            ("tId", r#""other""#),
            ("sessionHandle", r#""other""#),
            ("refreshTokenHash1", r#""other""#),
            ("antiCsrfToken", r#""other""#),
            ("exp", "4102444800"),
            ("iat", "0"),
            ("iss", r#""https://attacker.example""#),
        ] {
            let twice = honest.clone().also_claim(&quoted(claim), json).sign();
            family.add(format!("{key:?}: {claim} twice, then {json}"), twice, NotOurs);
        }
        let spelling = honest.clone().also_claim(r#""\u0073ub""#, r#""user-2""#).sign();
        family.add(format!("{key:?}: sub twice, then in other spelling"), spelling, NotOurs);
        let nested = honest.claim("x", r#"{"a":1,"a":2}"#).sign();
        let why = "RFC 7519 4 speaks of claims; what is inside a custom one is the application's";
        family.add(
            format!("{key:?}: two members of one name inside a claim"),
            nested,
            Accepted(why),
        );
    }
}

/// Each required claim is there and has its type (contract §5.4).
pub(super) fn session_claims(family: &mut Family) {
    const ANY_TEXT: &str = "any text is a text (contract 5.4); our key signed it";
    const NOT_READ: &str = "no verifier reads it (contract 5.2)";
    const NO_PROOF: &str = "counts as no anti-CSRF token: a request that needs one is refused";
    for key in Key::BOTH {
        let honest = Draft::honest(key);
        for claim in ["sub", "rsub", "tId", "sessionHandle", "refreshTokenHash1"] {
            family.add(
                format!("{key:?}: {claim} absent"),
                honest.clone().without_claim(claim).sign(),
                NotOurs,
            );
            for json in NO_TEXTS {
                let token = honest.clone().claim(claim, json).sign();
                family.add(format!("{key:?}: {claim}: {json}"), token, NotOurs);
            }
            for (name, text) in [
                ("empty", ""),
                ("NUL", "a\0b"),
                ("1000 bytes", &"x".repeat(1000)),
                ("right-to-left override", "\u{202e}1-resu"),
                ("look-alike", "us\u{435}r-1"),
            ] {
                let token = honest.clone().claim(claim, &quoted(text)).sign();
                family.add(format!("{key:?}: {claim}: {name}"), token, Accepted(ANY_TEXT));
            }
            let in_capitals = honest
                .payload_text()
                .replace(&format!("\"{claim}\""), &format!("\"{}\"", claim.to_uppercase()));
            family.add(
                format!("{key:?}: {claim} in capitals"),
                honest.sign_payload(in_capitals.as_bytes()),
                NotOurs,
            );
        }
        for claim in ["exp", "iat"] {
            let absent = honest.clone().without_claim(claim).sign();
            family.add(format!("{key:?}: {claim} absent"), absent, NotOurs);
        }
        for json in NO_TEXTS.into_iter().chain([r#""""#]) {
            let token = honest.clone().claim("parentRefreshTokenHash1", json).sign();
            let name = format!("{key:?}: parentRefreshTokenHash1: {json}");
            family.add(name, token, Accepted(NOT_READ));
            let token = honest.clone().claim("antiCsrfToken", json).sign();
            family.add(format!("{key:?}: antiCsrfToken: {json}"), token, Accepted(NO_PROOF));
        }
        for claim in ["parentRefreshTokenHash1", "antiCsrfToken"] {
            let absent = honest.clone().without_claim(claim).sign();
            family.add(format!("{key:?}: {claim} absent"), absent, Accepted("as null"));
        }
    }
}

/// How a date is written: `NumericDate` (RFC 7519 §2) from 1970 to 9999.
pub(super) fn dates(family: &mut Family) {
    /// JSON, and the date that it is, if it is one.
    const DATES: [(&str, Option<u64>); 37] = [
        ("0", Some(0)),
        ("-0", Some(0)),
        ("0.0", Some(0)),
        ("1e-400", Some(0)),
        ("1", Some(1)),
        ("1.5", Some(1)),
        ("1700003600.0", Some(1_700_003_600)),
        ("1700003600.999999", Some(1_700_003_600)),
        ("1.7000036e9", Some(1_700_003_600)),
        ("17000036E2", Some(1_700_003_600)),
        ("4102444800", Some(4_102_444_800)),
        ("253402300799", Some(253_402_300_799)),
        ("253402300799.5", None),
        ("253402300800", None),
        ("1700003600000", None),
        ("9007199254740993", None),
        ("9223372036854775808", None),
        ("18446744073709551615", None),
        ("18446744073709551616", None),
        ("1e30", None),
        ("1e308", None),
        ("1e309", None),
        ("1e999", None),
        ("-1e999", None),
        ("-1", None),
        ("-0.5", None),
        ("-1700003600", None),
        ("NaN", None),
        ("Infinity", None),
        ("-Infinity", None),
        ("null", None),
        ("true", None),
        (r#""1700003600""#, None),
        (r#""2023-11-14T23:13:20Z""#, None),
        ("[1700003600]", None),
        (r#"{"$date":1700003600}"#, None),
        ("0x6553f100", None),
    ];
    let now = START.as_secs();
    for key in Key::BOTH {
        for (json, date) in DATES {
            for claim in ["exp", "nbf", "iat"] {
                let token = Draft::honest(key).claim(claim, json).sign();
                let expected = match (date, claim) {
                    (None, _) => NotOurs,
                    (Some(date), "exp") if date <= now => TryRefresh(Expired),
                    (Some(date), "nbf") if date > now => TryRefresh(NotYetValid),
                    (Some(_), "exp") => Accepted("a date to come"),
                    (Some(_), "nbf") => Accepted("a date in the past"),
                    (Some(_), _) => Accepted("iat only has to be a date (contract 5.5)"),
                };
                family.add(format!("{key:?}: {claim}: {json}"), token, expected);
            }
        }
    }
}

/// To the second: expired in the second of `exp`, valid in that of `nbf`, no leeway (contract §5.5).
pub(super) fn expiry(family: &mut Family) {
    let at = |offset: i64| START.as_secs().strict_add_signed(offset);
    for key in Key::BOTH {
        for millis in [0, 1, 999] {
            let now = START.plus(Duration::from_millis(millis));
            for offset in [-3600, -60, -2, -1, 0, 1, 2, 60] {
                for fraction in ["", ".001", ".5", ".999"] {
                    // Fractions are cut off, so that nothing lives longer than its second.
                    let token =
                        Draft::honest(key).claim("exp", &format!("{}{fraction}", at(offset)));
                    let expected =
                        if offset > 0 { Accepted("not expired") } else { TryRefresh(Expired) };
                    let name = format!("{key:?}: exp {offset:+}{fraction} s, {millis} ms past");
                    family.add_at(now, name, token.sign(), expected);
                }
                let token = Draft::honest(key).claim("nbf", &at(offset).to_string());
                let expected =
                    if offset > 0 { TryRefresh(NotYetValid) } else { Accepted("already valid") };
                let name = format!("{key:?}: nbf {offset:+} s, {millis} ms past");
                family.add_at(now, name, token.sign(), expected);
            }
        }
        let both = Draft::honest(key).claim("exp", "1").claim("nbf", "4102444800").sign();
        family.add(format!("{key:?}: expired and not yet valid"), both, TryRefresh(Expired));
        let honest = Draft::honest(key).sign();
        for (name, now, expected) in [
            ("1970", Timestamp::from_secs(0), Accepted("iat is not checked (contract 5.5)")),
            ("a year later", Timestamp::from_secs(at(31_536_000)), TryRefresh(Expired)),
            ("9999", Timestamp::from_secs(253_402_300_799), TryRefresh(Expired)),
        ] {
            family.add_at(now, format!("{key:?}: honest, seen {name}"), honest.clone(), expected);
        }
    }
}

/// `stt` is absent or the number 0 (contract §5.2).
pub(super) fn session_token_types(family: &mut Family) {
    for key in Key::BOTH {
        for json in ["0", "0.0", "-0", "0e5"] {
            let token = Draft::honest(key).claim("stt", json).sign();
            family.add(format!("{key:?}: {json}"), token, Accepted("the number 0 (contract 5.2)"));
        }
        for json in
            ["1", "-1", "0.5", "2", "null", "false", "true", r#""0""#, r#""""#, "[]", "[0]", "{}"]
        {
            let token = Draft::honest(key).claim("stt", json).sign();
            family.add(format!("{key:?}: {json}"), token, NotOurs);
        }
    }
}

/// Names that mean something to languages with prototypes mean nothing here.
pub(super) fn prototypes(family: &mut Family) {
    const IGNORED: &str = "a name like any other; our key signed it";
    for key in Key::BOTH {
        let honest = Draft::honest(key);
        for name in
            ["__proto__", "constructor", "prototype", "toString", "valueOf", "toJSON", "then"]
        {
            for json in [
                r#"{"sub":"admin","isAdmin":true}"#,
                r#"{"prototype":{"sub":"admin"}}"#,
                "null",
                r#""x""#,
            ] {
                let payload = honest.clone().claim(name, json).sign();
                family.add(format!("{key:?}: claim {name}: {json}"), payload, Accepted(IGNORED));
            }
            let header = honest.clone().header(name, r#"{"alg":"none"}"#).sign();
            family.add(format!("{key:?}: header {name}"), header, Accepted(IGNORED));
            let inherited = honest.clone().without_claim("sub").claim(name, r#"{"sub":"admin"}"#);
            family.add(format!("{key:?}: sub only in {name}"), inherited.sign(), NotOurs);
            let json = format!("{{\"alg\":\"{}\"}}", key.algorithm());
            let inherited = honest.clone().without_header("alg").header(name, &json);
            family.add(format!("{key:?}: alg only in {name}"), inherited.sign(), NotOurs);
        }
    }
}

/// Values nested deeper than any parser should follow.
pub(super) fn depths(family: &mut Family) {
    /// Nesting that `serde_json` follows, the object around included.
    const LIMIT: usize = 127;
    for key in Key::BOTH {
        for depth in [1, 10, 100, LIMIT - 1, LIMIT, LIMIT + 1, 500, 1000, 2000, 5000, 10_000] {
            let arrays = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            let objects = format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
            for (name, json) in [("arrays", arrays), ("objects", objects)] {
                let expected = if depth < LIMIT {
                    Accepted("within the parser's limit; our key signed it")
                } else {
                    NotOurs
                };
                let in_payload = Draft::honest(key).claim("x", &json).sign();
                family.add(format!("{key:?}: {depth} {name} in a claim"), in_payload, expected);
                let in_header = Draft::honest(key).header("x", &json).sign();
                family.add(format!("{key:?}: {depth} {name} in the header"), in_header, expected);
            }
            let unclosed = Draft::honest(key).sign_payload("[".repeat(depth).as_bytes());
            family.add(format!("{key:?}: {depth} arrays, never closed"), unclosed, NotOurs);
        }
    }
}
