//! What an attacker, another issuer or an accident could present as a DPoP proof (RFC 9449).
//!
//! All are shown with an access token that is bound to their key, to one route, at [`START`]. Each family states by rule what must become of its proofs; `proof-verdicts.tsv` counts them, and
//! other libraries judge the very same ones (`proofs.test.js`).

use std::sync::LazyLock;

use num_bigint::BigUint;
use serde_json::json;
use session::token::dpop::{self, Demand, MAX_JTI_LEN, MAX_LEN, ProofError, Target};
use session::token::{MasterKey, MasterKeys};

use self::Expected::{Accepted, Refused, RefusedSomehow};
use super::draft::{Draft, Key, base64url, client_jwk, quoted};
use super::encoding::parts;
use super::es256;
use super::header::{NO_TEXTS, SAME_VALUE, malformed, named, respelled};
use testkit::clock::START;

/// Where the summary of the verdicts is.
pub const SUMMARY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/proof-verdicts.tsv");

/// The route that proofs are shown to.
pub const METHOD: &str = "GET";
/// The address of that route.
pub const URL: &str = "https://api.example.com/v1/orders/a%20b";

/// The keys of clients: one on P-256, one on Ed25519.
const BOTH: [Key; 2] = [Key::Ec, Key::Ed];

/// One proof and what must become of it.
#[derive(Clone, Debug)]
pub struct HostileProof {
    /// The family it belongs to.
    pub family: &'static str,
    /// Its name, of printable ASCII; unique in the family. Proofs of the key on Ed25519 begin with `Ed:`.
    pub name: String,
    /// The proof, which may be anything.
    pub text: String,
    /// Whether a nonce is demanded.
    pub nonce: bool,
    /// What the RFC demands.
    pub expected: Expected,
}

/// What must become of a proof.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expected {
    /// Accepted, and why that is right.
    Accepted(&'static str),
    /// Refused for this.
    Refused(ProofError),
    /// Refused; which check fails first is chance.
    RefusedSomehow,
}

impl HostileProof {
    /// What the verifier says of it.
    ///
    /// # Errors
    ///
    /// Why it is not accepted.
    pub fn verdict(&self) -> Result<(), ProofError> {
        let target = Target::new("https://api.example.com", "/v1/orders/a b").unwrap();
        let keys = master(1);
        let demand = Demand {
            method: METHOD,
            targets: &[target],
            access_token: Some(self.access_token()),
            nonce: self.nonce.then_some(&keys),
        };
        dpop::verify(&self.text, &demand, START).map(|_| ())
    }

    /// The access token that it is shown with, which is bound to its key.
    #[must_use]
    pub fn access_token(&self) -> &'static str {
        access_token(if self.name.starts_with("Ed:") { Key::Ed } else { Key::Ec })
    }

    /// Whether that is what the RFC demands.
    #[must_use]
    pub fn is_as_expected(&self) -> bool {
        match (self.verdict(), self.expected) {
            (Ok(()), Accepted(_)) | (Err(_), RefusedSomehow) => true,
            (Err(error), Refused(expected)) => error == expected,
            (Ok(()), _) | (Err(_), Accepted(_)) => false,
        }
    }
}

fn master(secret: u8) -> MasterKeys {
    MasterKeys::new(MasterKey::new(1, "public", &[secret; 32]), Vec::new())
}

/// An access token of RFC 9068 that is bound to the client's key: what `oauth4webapi` takes.
fn access_token(key: Key) -> &'static str {
    static EC: LazyLock<String> = LazyLock::new(|| bound_to(Key::Ec));
    static ED: LazyLock<String> = LazyLock::new(|| bound_to(Key::Ed));
    if key == Key::Ed { &ED } else { &EC }
}

fn bound_to(key: Key) -> String {
    let header = json!({ "alg": "ES256", "typ": "at+jwt", "kid": Key::Ec.id() });
    let payload = json!({
        "iss": "https://api.example.com/auth",
        "aud": "https://api.example.com",
        "sub": "user-1",
        "client_id": "app",
        "jti": "1",
        "iat": START.as_secs(),
        "exp": START.as_secs() + 3600,
        "cnf": { "jkt": thumbprint(key) },
    });
    let part = |json: serde_json::Value| base64url(json.to_string().as_bytes());
    let message = format!("{}.{}", part(header), part(payload));
    let signature = base64url(&Key::Ec.sign(&message));
    format!("{message}.{signature}")
}

fn thumbprint(key: Key) -> String {
    let target = Target::parse(URL).unwrap();
    let demand = Demand { method: METHOD, targets: &[target], access_token: None, nonce: None };
    let proof = Draft::proof(key, METHOD, URL, "").sign();
    dpop::verify(&proof, &demand, START).unwrap().jkt()
}

/// Adds the proofs of one family.
type MakeProofs = fn(&mut Family);

const FAMILIES: [(&str, MakeProofs); 17] = [
    ("honest", honest),
    ("type", types),
    ("algorithm", algorithms),
    ("key", keys),
    ("private key", private_keys),
    ("signature", signatures),
    ("critical extension", critical_extensions),
    ("header JSON", header_texts),
    ("payload JSON", payload_texts),
    ("encoding", encodings),
    ("claims", claims),
    ("method", methods),
    ("address", addresses),
    ("time", times),
    ("access token", access_tokens),
    ("nonce", nonces),
    ("kind and length", kinds),
];

/// The proofs of one family.
struct Family {
    name: &'static str,
    proofs: Vec<HostileProof>,
}

impl Family {
    fn add(&mut self, name: impl Into<String>, text: impl Into<String>, expected: Expected) {
        let (name, text, family) = (name.into(), text.into(), self.name);
        assert!(name.chars().all(|c| c == ' ' || c.is_ascii_graphic()), "{name:?}");
        self.proofs.push(HostileProof { family, name, text, nonce: false, expected });
    }
}

/// All proofs, family by family; the same in every run, and made once in a process.
pub fn all() -> &'static [HostileProof] {
    static ALL: LazyLock<Vec<HostileProof>> = LazyLock::new(|| {
        let families = FAMILIES.into_iter().flat_map(|(name, make)| {
            let mut family = Family { name, proofs: Vec::new() };
            make(&mut family);
            family.proofs
        });
        families.collect()
    });
    &ALL
}

/// The summary that is kept in the repository: family, verdict, and how many proofs of it get that verdict.
#[must_use]
pub fn summary() -> String {
    let mut counts: Vec<((&str, String), usize)> = Vec::new();
    for proof in all() {
        let verdict =
            proof.verdict().map_or_else(|error| error.to_string(), |()| "accepted".into());
        let row = (proof.family, verdict);
        match counts.iter_mut().find(|(known, _)| *known == row) {
            Some((_, count)) => *count += 1,
            None => counts.push((row, 1)),
        }
    }
    let mut summary = "family\tverdict\tproofs\n".to_owned();
    for ((family, verdict), count) in counts {
        summary.push_str(&format!("{family}\t{verdict}\t{count}\n"));
    }
    summary
}

/// The request, and then every proof that needs no nonce, each a line of JSON, for other libraries.
#[must_use]
pub fn lines() -> String {
    let jwks = super::verifying_keys().document(START);
    let request = json!({
        "jwks": jwks,
        "method": METHOD,
        "url": URL,
        "now": START.as_millis(),
    });
    let mut lines = format!("{request}\n");
    for proof in all().iter().filter(|proof| !proof.nonce) {
        let line = json!({
            "family": proof.family,
            "name": proof.name,
            "proof": proof.text,
            "accessToken": proof.access_token(),
            "accepted": proof.verdict().is_ok(),
        });
        lines.push_str(&format!("{line}\n"));
    }
    lines
}

fn proof(key: Key) -> Draft {
    Draft::proof(key, METHOD, URL, access_token(key))
}

/// A key with one more member, or another value of one: JSON as text.
fn with_member(jwk: &str, name: &str, json: &str) -> String {
    let mut members: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(jwk).unwrap();
    members.insert(name.to_owned(), serde_json::from_str(json).unwrap());
    serde_json::Value::Object(members).to_string()
}

/// The controls: what must be accepted, so that refusing everything is no way to pass.
fn honest(family: &mut Family) {
    for key in BOTH {
        let jwk = client_jwk(key);
        let alg = quoted(key.algorithm());
        family.add(format!("{key:?}: as made"), proof(key).sign(), Accepted("RFC 9449 4.2"));
        for (name, json) in [
            ("alg", alg.as_str()),
            ("use", r#""sig""#),
            ("key_ops", r#"["verify"]"#),
            ("ext", "true"),
            ("kid", r#""1""#),
        ] {
            let text = proof(key).header("jwk", &with_member(&jwk, name, json)).sign();
            let why = "what browsers write of a key (RFC 7517 4)";
            family.add(format!("{key:?}: jwk with {name}"), text, Accepted(why));
        }
        for (name, json) in [
            ("kid", r#""x""#),
            ("jku", r#""https://attacker.example/jwks.json""#),
            ("x5c", r#"["MIIB"]"#),
            ("x5u", r#""https://attacker.example/x""#),
            ("cty", r#""JWT""#),
            ("b64", "true"),
        ] {
            let text = proof(key).header(name, json).sign();
            let why = "not needed and not followed: the key is in jwk";
            family.add(format!("{key:?}: header with {name}"), text, Accepted(why));
        }
        for (name, json) in [
            ("nonce", r#""unasked""#),
            ("sub", r#""user-2""#),
            ("exp", "1700000001"),
            ("nbf", "1700000000"),
            ("custom", r#"{"a":[1]}"#),
        ] {
            let text = proof(key).claim(name, json).sign();
            family.add(
                format!("{key:?}: claim {name}"),
                text,
                Accepted("RFC 9449 4.2: others may be"),
            );
        }
    }
    let renamed = proof(Key::Ed).header("alg", r#""Ed25519""#).sign();
    family.add(
        "Ed: alg Ed25519",
        renamed,
        Accepted("RFC 9864 2.2: the name of EdDSA on that curve"),
    );
}

/// Exactly `dpop+jwt` (RFC 9449 §4.3, item 4).
fn types(family: &mut Family) {
    for key in BOTH {
        for name in [
            "",
            "JWT",
            "jwt",
            "at+jwt",
            "dbsc+jwt",
            "DPOP+JWT",
            "dpop+JWT",
            "Dpop+jwt",
            "dpop",
            "dpop jwt",
            "dpop+jwt ",
            " dpop+jwt",
            "dpop+jwt\0",
            "application/dpop+jwt",
            "dpop+jws",
            "logout+jwt",
        ] {
            let text = proof(key).header("typ", &quoted(name)).sign();
            family.add(
                format!("{key:?}: \"{}\"", named(name)),
                text,
                Refused(ProofError::WrongType),
            );
        }
        for json in NO_TEXTS {
            let text = proof(key).header("typ", json).sign();
            family.add(format!("{key:?}: {json}"), text, Refused(ProofError::WrongType));
        }
        let absent = proof(key).without_header("typ").sign();
        family.add(format!("{key:?}: absent"), absent, Refused(ProofError::WrongType));
    }
}

/// ES256 or `EdDSA`, letter for letter, and the key's own (RFC 9449 §4.3, item 5; RFC 8725 §3.1).
fn algorithms(family: &mut Family) {
    for key in BOTH {
        for name in [
            "none",
            "None",
            "NONE",
            "nOnE",
            "",
            "HS256",
            "HS384",
            "HS512",
            "RS256",
            "RS384",
            "RS512",
            "PS256",
            "PS384",
            "PS512",
            "ES384",
            "ES512",
            "ES256K",
            "Ed448",
            "es256",
            "Es256",
            "ES256 ",
            " ES256",
            "ES256\0",
            "eddsa",
            "EDDSA",
            "ed25519",
            "ECDH-ES",
            "A128KW",
            "dir",
            "ML-DSA-44",
            "SHA256withECDSA",
            "ES256,none",
        ] {
            let draft = proof(key).header("alg", &quoted(name));
            let wrong = Refused(ProofError::WrongAlgorithm);
            family.add(format!("{key:?}: \"{}\"", named(name)), draft.sign(), wrong);
            family.add(format!("{key:?}: \"{}\", unsigned", named(name)), draft.with(&[]), wrong);
        }
        for json in NO_TEXTS {
            let text = proof(key).header("alg", json).sign();
            family.add(format!("{key:?}: {json}"), text, Refused(ProofError::WrongAlgorithm));
        }
        let absent = proof(key).without_header("alg").sign();
        family.add(format!("{key:?}: absent"), absent, Refused(ProofError::WrongAlgorithm));
        let other = if key == Key::Ec { Key::Ed } else { Key::Ec };
        let swapped = proof(key).header("alg", &quoted(other.algorithm())).sign();
        family.add(
            format!("{key:?}: that of the other key"),
            swapped,
            Refused(ProofError::UnusableKey),
        );
    }
}

/// A public key of the algorithm, in its one spelling, that nothing forbids to verify with.
fn keys(family: &mut Family) {
    let unusable = Refused(ProofError::UnusableKey);
    for key in BOTH {
        let jwk = client_jwk(key);
        for json in NO_TEXTS.into_iter().chain([r#""""#, r#"[{"kty":"EC"}]"#]) {
            let text = proof(key).header("jwk", json).sign();
            family.add(format!("{key:?}: {json}"), text, unusable);
        }
        let text = proof(key).header("jwk", &quoted(&jwk)).sign();
        family.add(format!("{key:?}: as text"), text, unusable);
        family.add(format!("{key:?}: absent"), proof(key).without_header("jwk").sign(), unusable);
        let by_name = proof(key).without_header("jwk").header("kid", &quoted(Key::Ec.id())).sign();
        family.add(format!("{key:?}: only kid, of a published key"), by_name, unusable);
        let members: &[&str] =
            if key == Key::Ec { &["kty", "crv", "x", "y"] } else { &["kty", "crv", "x"] };
        for member in members {
            let mut without: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(&jwk).unwrap();
            let value = without.remove(*member).unwrap();
            let text = serde_json::Value::Object(without).to_string();
            family.add(
                format!("{key:?}: no {member}"),
                proof(key).header("jwk", &text).sign(),
                unusable,
            );
            for json in NO_TEXTS {
                let text = proof(key).header("jwk", &with_member(&jwk, member, json)).sign();
                family.add(format!("{key:?}: {member}: {json}"), text, unusable);
            }
            let twice = format!("{},\"{member}\":{value}}}", &jwk[..jwk.len() - 1]);
            let text = proof(key).header("jwk", &twice).sign();
            family.add(format!("{key:?}: {member} twice"), text, unusable);
        }
        for (member, value) in [
            ("kty", "RSA"),
            ("kty", "oct"),
            ("kty", "ec"),
            ("kty", "okp"),
            ("kty", "AKP"),
            ("crv", "P-384"),
            ("crv", "P-521"),
            ("crv", "p-256"),
            ("crv", "P256"),
            ("crv", "secp256k1"),
            ("crv", "X25519"),
            ("crv", "Ed448"),
            ("crv", "ed25519"),
            ("crv", "prime256v1"),
            ("x", ""),
            ("use", "enc"),
            ("use", "SIG"),
            ("alg", "none"),
            ("alg", "ECDH-ES"),
            ("alg", "RS256"),
        ] {
            let text = proof(key).header("jwk", &with_member(&jwk, member, &quoted(value))).sign();
            family.add(format!("{key:?}: {member} {value}"), text, unusable);
        }
        for (member, json) in [
            ("key_ops", "[]"),
            ("key_ops", r#"["sign"]"#),
            ("key_ops", r#""verify""#),
            ("key_ops", "null"),
            ("use", "null"),
            ("use", r#"["sig"]"#),
            ("alg", "null"),
        ] {
            let text = proof(key).header("jwk", &with_member(&jwk, member, json)).sign();
            family.add(format!("{key:?}: {member}: {json}"), text, unusable);
        }
        let x = serde_json::from_str::<serde_json::Value>(&jwk).unwrap()["x"]
            .as_str()
            .unwrap()
            .to_owned();
        for (name, value) in [
            ("padded", format!("{x}=")),
            ("a space after", format!("{x} ")),
            ("a line feed before", format!("\n{x}")),
            ("standard alphabet", x.replace('-', "+").replace('_', "/")),
            ("one byte less", x[..42].to_owned()),
            ("one byte more", base64url(&[&[0][..], &[1; 32]].concat())),
            ("64 bytes", base64url(&[1; 64])),
            (
                "hexadecimal",
                "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296".into(),
            ),
            ("unused bits set", format!("{}{}", &x[..42], char::from(x.as_bytes()[42] + 1))),
        ] {
            if value == x {
                continue;
            }
            let text = proof(key).header("jwk", &with_member(&jwk, "x", &quoted(&value))).sign();
            family.add(format!("{key:?}: x {name}"), text, unusable);
        }
    }
    let point = |x: &[u8], y: &[u8]| {
        let (x, y) = (base64url(x), base64url(y));
        format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}"}}"#)
    };
    let own = es256::point();
    let (x, y) = (&own[1..33], &own[33..]);
    let negative = es256::bytes(&(es256::prime() - BigUint::from_bytes_be(y)));
    let prime = es256::bytes(&es256::prime());
    for (name, jwk) in [
        ("the point at infinity", point(&[0; 32], &[0; 32])),
        ("not on the curve", point(x, x)),
        ("x and y swapped", point(y, x)),
        ("x as large as the field", point(&prime, y)),
        ("all ones", point(&[0xff; 32], &[0xff; 32])),
        (
            "no y but its sign",
            format!(r#"{{"kty":"EC","crv":"P-256","x":"{}","y":true}}"#, base64url(x)),
        ),
        ("a point in x, uncompressed", point(&own, y)),
    ] {
        family.add(format!("Ec: {name}"), proof(Key::Ec).header("jwk", &jwk).sign(), unusable);
    }
    let bad = Refused(ProofError::BadSignature);
    let mirrored = proof(Key::Ec).header("jwk", &point(x, &negative)).sign();
    family.add("Ec: the mirrored point", mirrored, bad);
    let other = serde_json::to_value(es256::public_jwk(2, "")).unwrap();
    let other = proof(Key::Ec).header("jwk", &other.to_string()).sign();
    family.add("Ec: somebody else's", other, bad);
    let rsa = testkit::keys::dynamic().public_jwk();
    let rsa = serde_json::to_string(&rsa).unwrap();
    family.add("Ec: an RSA key", proof(Key::Ec).header("jwk", &rsa).sign(), unusable);
    let secret = r#"{"kty":"oct","alg":"HS256"}"#;
    family.add(
        "Ec: a secret without its value",
        proof(Key::Ec).header("jwk", secret).sign(),
        unusable,
    );
}

/// No private member, whatever it is (RFC 9449 §4.3, item 7).
fn private_keys(family: &mut Family) {
    for key in BOTH {
        for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
            for json in [r#""AQ""#, "null", "[]", r#""""#] {
                let jwk = with_member(&client_jwk(key), member, json);
                let text = proof(key).header("jwk", &jwk).sign();
                family.add(
                    format!("{key:?}: {member}: {json}"),
                    text,
                    Refused(ProofError::PrivateKey),
                );
            }
        }
    }
}

/// 64 bytes that the key has made over this header and this payload (RFC 7518 §3.4, RFC 8032 §5.1.7).
fn signatures(family: &mut Family) {
    let bad = Refused(ProofError::BadSignature);
    for key in BOTH {
        let draft = proof(key);
        let signature = key.sign(&draft.message());
        for len in (0..signature.len()).step_by(3) {
            family.add(format!("{key:?}: first {len} bytes"), draft.with(&signature[..len]), bad);
        }
        for at in 0..signature.len() {
            let mut changed = signature.clone();
            changed[at] ^= 1 << (at % 8);
            family.add(format!("{key:?}: bit {} of byte {at}", at % 8), draft.with(&changed), bad);
        }
        let (left, right) = signature.split_at(32);
        let reversed: Vec<u8> = signature.iter().rev().copied().collect();
        for (name, bytes) in [
            ("halves swapped", [right, left].concat()),
            ("backwards", reversed),
            ("a zero after", [&signature[..], &[0]].concat()),
            ("a zero before", [&[0], &signature[..]].concat()),
            ("twice", [&signature[..], &signature].concat()),
            ("zeros", vec![0; 64]),
            ("ones", vec![0xff; 64]),
            ("first half zero", [&[0; 32][..], right].concat()),
            ("second half zero", [left, &[0; 32]].concat()),
            (
                "of the other key",
                if key == Key::Ec { Key::Ed } else { Key::Ec }.sign(&draft.message()),
            ),
            ("of the header alone", key.sign(draft.message().split('.').next().unwrap())),
            (
                "of the decoded parts",
                key.sign(&format!("{}.{}", draft.header_text(), draft.payload_text())),
            ),
            ("of another proof", key.sign(&draft.clone().claim("jti", r#""2""#).message())),
            ("a MAC under the public key", {
                use aws_lc_rs::hmac;
                let secret = hmac::Key::new(hmac::HMAC_SHA256, client_jwk(key).as_bytes());
                hmac::sign(&secret, draft.message().as_bytes()).as_ref().to_vec()
            }),
        ] {
            family.add(format!("{key:?}: {name}"), draft.with(&bytes), bad);
        }
    }
    let draft = proof(Key::Ec);
    let signature = Key::Ec.sign(&draft.message());
    let (r, s) = signature.split_at(32);
    let numbers = |r: &BigUint, s: &BigUint| [es256::bytes(r), es256::bytes(s)].concat();
    let (r, s) = (BigUint::from_bytes_be(r), BigUint::from_bytes_be(s));
    let n = es256::order();
    let why = "as valid as (r, s): ECDSA has two signatures (FIPS 186-5)";
    family.add("Ec: (r, n-s)", draft.with(&numbers(&r, &(&n - &s))), Accepted(why));
    family.add("Ec: (n-r, s)", draft.with(&numbers(&(&n - &r), &s)), bad);
    family.add("Ec: (r, n)", draft.with(&numbers(&r, &n)), bad);
    family.add("Ec: (n, s)", draft.with(&numbers(&n, &s)), bad);
    let integer = |number: &BigUint| {
        let bytes = number.to_bytes_be();
        let sign = if bytes[0] >= 0x80 { &[0][..] } else { &[] };
        [&[2, u8::try_from(bytes.len() + sign.len()).unwrap()][..], sign, &bytes].concat()
    };
    let content = [integer(&r), integer(&s)].concat();
    let der = [&[0x30, u8::try_from(content.len()).unwrap()][..], &content].concat();
    family.add("Ec: DER", draft.with(&der), bad);
    // S and S + L are the same number to a verifier that does not compare (RFC 8032 §5.1.7).
    let draft = proof(Key::Ed);
    let signature = Key::Ed.sign(&draft.message());
    let order = BigUint::parse_bytes(
        b"1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed",
        16,
    );
    let s = BigUint::from_bytes_le(&signature[32..]) + order.unwrap();
    let mut larger = s.to_bytes_le();
    larger.resize(32, 0);
    family.add("Ed: S + L", draft.with(&[&signature[..32], &larger].concat()), bad);
}

/// Nothing is critical, and the payload is encoded (RFC 7515 §4.1.11, RFC 7797 §7).
fn critical_extensions(family: &mut Family) {
    for key in BOTH {
        for json in [
            "[]",
            "null",
            "false",
            r#""exp""#,
            r#"["exp"]"#,
            r#"["alg"]"#,
            r#"["b64"]"#,
            r#"["unknown"]"#,
            "{}",
        ] {
            let text = proof(key).header("crit", json).sign();
            family.add(
                format!("{key:?}: crit {json}"),
                text,
                Refused(ProofError::CriticalExtension),
            );
        }
        for json in ["false", "null", "0", r#""true""#, "[]"] {
            let text = proof(key).header("b64", json).sign();
            family.add(
                format!("{key:?}: b64 {json}"),
                text,
                Refused(ProofError::CriticalExtension),
            );
        }
    }
}

/// The header is one JSON object with different names.
fn header_texts(family: &mut Family) {
    let honest = proof(Key::Ec);
    for (name, text) in malformed(&honest.header_text()) {
        family.add(name, honest.sign_header(&text), RefusedSomehow);
    }
    for (name, text) in respelled(&honest.header_text(), "alg") {
        family.add(name, honest.sign_header(text.as_bytes()), Accepted(SAME_VALUE));
    }
    for (member, json) in [
        ("alg", r#""none""#),
        ("alg", r#""ES256""#),
        ("typ", r#""dpop+jwt""#),
        ("typ", r#""JWT""#),
        ("jwk", "{}"),
    ] {
        let text = honest.clone().also_header(&quoted(member), json).sign();
        family.add(format!("{member} twice, then {json}"), text, Refused(ProofError::Malformed));
    }
    let jwk = client_jwk(Key::Ec);
    let text = honest.clone().also_header(r#""\u006awk""#, &jwk).sign();
    family.add("jwk twice, then in other spelling", text, Refused(ProofError::Malformed));
    for name in ["__proto__", "constructor", "toString"] {
        let json = format!(r#"{{"jwk":{jwk},"alg":"none"}}"#);
        let text = honest.clone().without_header("jwk").header(name, &json).sign();
        family.add(format!("jwk only in {name}"), text, Refused(ProofError::UnusableKey));
    }
}

/// So is the payload.
fn payload_texts(family: &mut Family) {
    let honest = proof(Key::Ec);
    for (name, text) in malformed(&honest.payload_text()) {
        // The list writes names without quotes for the members of access tokens.
        if text != honest.payload_text().as_bytes() {
            family.add(name, honest.sign_payload(&text), RefusedSomehow);
        }
    }
    for (name, text) in respelled(&honest.payload_text(), "htm") {
        family.add(name, honest.sign_payload(text.as_bytes()), Accepted(SAME_VALUE));
    }
    for (claim, json) in [
        ("htm", r#""GET""#),
        ("htm", r#""POST""#),
        ("htu", r#""https://attacker.example/""#),
        ("iat", "1"),
        ("jti", r#""2""#),
        ("ath", r#""x""#),
        ("nonce", r#""x""#),
    ] {
        let text = honest.clone().claim("nonce", r#""x""#).also_claim(&quoted(claim), json).sign();
        family.add(format!("{claim} twice, then {json}"), text, Refused(ProofError::Malformed));
    }
}

/// Three parts of base64url and nothing else (RFC 7515 §7.1, §2).
fn encodings(family: &mut Family) {
    let text = proof(Key::Ec).sign();
    let [header, payload, signature] = parts(&text);
    for (name, text) in [
        ("nothing", String::new()),
        ("dots", "..".into()),
        ("no signature, no dot", format!("{header}.{payload}")),
        ("a fourth part", format!("{text}.{signature}")),
        ("an empty fourth part", format!("{text}.")),
        ("an empty first part", format!(".{text}")),
        ("five parts", format!("{header}..{payload}.{payload}.{signature}")),
        ("parts swapped", format!("{payload}.{header}.{signature}")),
        ("no header", format!(".{payload}.{signature}")),
        ("no payload", format!("{header}..{signature}")),
        ("in quotes", format!("\"{text}\"")),
        ("two with a comma", format!("{text},{text}")),
        ("two with a space", format!("{text} {text}")),
        ("with a scheme", format!("DPoP {text}")),
        ("in base64url", base64url(text.as_bytes())),
        ("escaped dots", text.replace('.', "%2E")),
        (
            "JSON serialisation",
            format!(
                r#"{{"protected":"{header}","payload":"{payload}","signature":"{signature}"}}"#
            ),
        ),
    ] {
        family.add(name, text, RefusedSomehow);
    }
    family.add("no signature", format!("{header}.{payload}."), Refused(ProofError::BadSignature));
    for (index, part_name) in ["header", "payload", "signature"].into_iter().enumerate() {
        for (name, added) in [
            ("equals sign", "="),
            ("two equals signs", "=="),
            ("escaped equals sign", "%3D"),
            ("space", " "),
            ("tab", "\t"),
            ("line feed", "\n"),
            ("NUL", "\0"),
            ("no-break space", "\u{a0}"),
            ("comma", ","),
            ("plus", "+"),
            ("slash", "/"),
            ("full-width A", "\u{ff21}"),
        ] {
            let part = parts(&text)[index];
            let middle = part.len() / 2;
            for (place, changed) in [
                ("before", format!("{added}{part}")),
                ("inside", format!("{}{added}{}", &part[..middle], &part[middle..])),
                ("after", format!("{part}{added}")),
            ] {
                let mut changed_parts = parts(&text);
                changed_parts[index] = &changed;
                family.add(
                    format!("{name} {place} the {part_name}"),
                    changed_parts.join("."),
                    RefusedSomehow,
                );
            }
        }
    }
    for at in (0..text.len()).step_by(5) {
        let mut changed = text.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        family.add(format!("character {at}"), changed, RefusedSomehow);
    }
}

/// `jti`, `htm`, `htu` and `iat` are there and have their type (RFC 9449 §4.2).
fn claims(family: &mut Family) {
    let malformed = Refused(ProofError::MalformedClaim);
    for key in BOTH {
        for claim in ["jti", "htm", "htu", "iat"] {
            let absent = proof(key).without_claim(claim).sign();
            family.add(format!("{key:?}: {claim} absent"), absent, malformed);
            for json in NO_TEXTS {
                // Numbers are dates, long ago.
                let expected = if claim == "iat" && json.parse::<f64>().is_ok() {
                    Refused(ProofError::WrongTime)
                } else {
                    malformed
                };
                let text = proof(key).claim(claim, json).sign();
                family.add(format!("{key:?}: {claim}: {json}"), text, expected);
            }
            let capitals = proof(key).payload_text().replace(claim, &claim.to_uppercase());
            let text = proof(key).sign_payload(capitals.as_bytes());
            family.add(format!("{key:?}: {claim} in capitals"), text, malformed);
        }
        for (len, expected) in [
            (0, malformed),
            (1, Accepted("any text is an identifier")),
            (MAX_JTI_LEN, Accepted("within the limit")),
            (MAX_JTI_LEN + 1, malformed),
            (1000, malformed),
        ] {
            let text = proof(key).claim("jti", &quoted(&"x".repeat(len))).sign();
            family.add(format!("{key:?}: jti of {len} bytes"), text, expected);
        }
    }
}

/// The request's method, letter for letter (RFC 9110 §9.1: methods are case-sensitive).
fn methods(family: &mut Family) {
    for key in BOTH {
        for method in [
            "",
            "get",
            "Get",
            "POST",
            "HEAD",
            "OPTIONS",
            "PUT",
            "DELETE",
            "PATCH",
            "*",
            "GET ",
            " GET",
            "GET\0",
            "GET,POST",
            "GE\u{422}",
            "GETT",
        ] {
            let text = proof(key).claim("htm", &quoted(method)).sign();
            family.add(
                format!("{key:?}: \"{}\"", named(method)),
                text,
                Refused(ProofError::OtherMethod),
            );
        }
    }
}

/// The request's address without query and fragment, after normalisation (RFC 9449 §4.3, item 9).
fn addresses(family: &mut Family) {
    const SAME: &str = "the same after normalisation (RFC 3986 6.2.2, 6.2.3)";
    const UNCOUNTED: &str = "query and fragment do not count (RFC 9449 4.3, item 9)";
    for key in BOTH {
        for (url, why) in [
            ("HTTPS://api.example.com/v1/orders/a%20b", SAME),
            ("https://API.EXAMPLE.COM/v1/orders/a%20b", SAME),
            ("https://api.example.com:443/v1/orders/a%20b", SAME),
            ("https://api.example.com:/v1/orders/a%20b", SAME),
            ("https://api.example.com/v1/./orders/a%20b", SAME),
            ("https://api.example.com/v1/x/../orders/a%20b", SAME),
            ("https://api.example.com/../v1/orders/a%20b", SAME),
            ("https://api.example.com/v1/%6frders/a%20b", SAME),
            ("https://api.example.com/v1/%6Frders/a%20b", SAME),
            ("https://api.example.com/v1/orders/a%20b?a=b", UNCOUNTED),
            ("https://api.example.com/v1/orders/a%20b#c", UNCOUNTED),
            ("https://api.example.com/v1/orders/a%20b?a#b?c/../d", UNCOUNTED),
        ] {
            let text = proof(key).claim("htu", &quoted(url)).sign();
            family.add(format!("{key:?}: {url}"), text, Accepted(why));
        }
        for url in [
            "http://api.example.com/v1/orders/a%20b",
            "https://api.example.com/v1/orders/a%20b/",
            "https://api.example.com/v1/orders/a",
            "https://api.example.com/v1/orders",
            "https://api.example.com/v1/orders/",
            "https://api.example.com/orders/a%20b",
            "https://api.example.com/V1/orders/a%20b",
            "https://api.example.com/v1/orders/A%20b",
            "https://api.example.com/v1/orders/a+b",
            "https://api.example.com/v1/orders/a%2520b",
            "https://api.example.com/v1%2Forders%2Fa%20b",
            "https://api.example.com//v1/orders/a%20b",
            "https://api.example.com/v1//orders/a%20b",
            "https://api.example.com/v1/orders/a%20b;x",
            "https://api.example.com/v1/orders/a%20b%00",
            "https://api.example.com/v1/orders/a%20b%3Fa=b",
            "https://api.example.com/v1/orders/a%20b/..",
            "https://api.example.com:80/v1/orders/a%20b",
            "https://api.example.com:8443/v1/orders/a%20b",
            "https://api.example.com.attacker.example/v1/orders/a%20b",
            "https://attacker.example/v1/orders/a%20b",
            "https://attacker.example/?https://api.example.com/v1/orders/a%20b",
            "https://www.api.example.com/v1/orders/a%20b",
            "https://api.example.co/v1/orders/a%20b",
            "https://example.com/v1/orders/a%20b",
            "https://api.example.com./v1/orders/a%20b",
            "https://api.example.com",
            "https://api.example.com/",
            "https://[::1]/v1/orders/a%20b",
        ] {
            let text = proof(key).claim("htu", &quoted(url)).sign();
            family.add(format!("{key:?}: {url}"), text, Refused(ProofError::OtherTarget));
        }
        for url in [
            "",
            "/",
            "/v1/orders/a%20b",
            "api.example.com/v1/orders/a%20b",
            "//api.example.com/v1/orders/a%20b",
            "https:api.example.com/v1/orders/a%20b",
            "https:/api.example.com/v1/orders/a%20b",
            "https:///api.example.com/v1/orders/a%20b",
            "https:\\\\api.example.com\\v1\\orders\\a%20b",
            "https://api.example.com/v1/orders/a b",
            "https://api.example.com/v1/orders/a%20b ",
            " https://api.example.com/v1/orders/a%20b",
            "https://api.example.com/v1/orders/a%20b\n",
            "https://api.\nexample.com/v1/orders/a%20b",
            "https://api.example.com/v1/orders/a%2",
            "https://api.example.com/v1/orders/a%zz",
            "https://user@api.example.com/v1/orders/a%20b",
            "https://user:word@api.example.com/v1/orders/a%20b",
            "https://api.example.com@attacker.example/v1/orders/a%20b",
            "https://%61pi.example.com/v1/orders/a%20b",
            "https://api.example.com\0/v1/orders/a%20b",
            "https://\u{430}pi.example.com/v1/orders/a%20b",
            "ftp://api.example.com/v1/orders/a%20b",
            "wss://api.example.com/v1/orders/a%20b",
            "javascript://api.example.com/v1/orders/a%20b",
            "*",
            "https://",
        ] {
            let text = proof(key).claim("htu", &quoted(url)).sign();
            let name = format!("{key:?}: \"{}\"", named(url));
            family.add(name, text, Refused(ProofError::MalformedClaim));
        }
    }
}

/// Two minutes to either side of the clock, to the second; `exp` and `nbf` as in any JWT (RFC 7519 §4.1).
fn times(family: &mut Family) {
    let now = START.as_secs();
    for key in BOTH {
        for offset in [
            -31_536_000,
            -3600,
            -301,
            -299,
            -121,
            -120,
            -119,
            -1,
            0,
            1,
            119,
            120,
            121,
            299,
            301,
            3600,
        ] {
            let at = now.strict_add_signed(offset);
            let expected = if (-120..=120).contains(&offset) {
                Accepted("within the window (RFC 9449 11.1)")
            } else {
                Refused(ProofError::WrongTime)
            };
            let text = proof(key).claim("iat", &at.to_string()).sign();
            family.add(format!("{key:?}: iat {offset:+} s"), text, expected);
        }
        for (json, expected) in [
            ("1700000000.0", Accepted("a date")),
            ("1700000000.9", Accepted("a date, cut to its second")),
            ("17000000e2", Accepted("a date")),
            ("1700000000000", Refused(ProofError::MalformedClaim)),
            ("-1700000000", Refused(ProofError::MalformedClaim)),
            (r#""1700000000""#, Refused(ProofError::MalformedClaim)),
            ("1e30", Refused(ProofError::MalformedClaim)),
            ("253402300799", Refused(ProofError::WrongTime)),
        ] {
            let text = proof(key).claim("iat", json).sign();
            family.add(format!("{key:?}: iat {json}"), text, expected);
        }
        for (claim, offset, expected) in [
            ("exp", 1, Accepted("not over")),
            ("exp", 0, Refused(ProofError::WrongTime)),
            ("exp", -60, Refused(ProofError::WrongTime)),
            ("nbf", 0, Accepted("begun")),
            ("nbf", 1, Refused(ProofError::WrongTime)),
            ("nbf", 3600, Refused(ProofError::WrongTime)),
        ] {
            let text = proof(key).claim(claim, &now.strict_add_signed(offset).to_string()).sign();
            family.add(format!("{key:?}: {claim} {offset:+} s"), text, expected);
        }
        for claim in ["exp", "nbf"] {
            for json in ["null", r#""1700000060""#, "true", "-1"] {
                let text = proof(key).claim(claim, json).sign();
                family.add(
                    format!("{key:?}: {claim} {json}"),
                    text,
                    Refused(ProofError::MalformedClaim),
                );
            }
        }
    }
}

/// `ath` is base64url of the SHA-256 of the very token (RFC 9449 §4.3, item 12).
fn access_tokens(family: &mut Family) {
    use aws_lc_rs::digest::{SHA256, SHA384, SHA512, digest};
    let other = Refused(ProofError::OtherAccessToken);
    for key in BOTH {
        let token = access_token(key);
        let hash = dpop::hash_of(token);
        let digest_of_it = digest(&SHA256, token.as_bytes());
        let hex: String = digest_of_it.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        family.add(format!("{key:?}: absent"), proof(key).without_claim("ath").sign(), other);
        for json in NO_TEXTS {
            family.add(format!("{key:?}: {json}"), proof(key).claim("ath", json).sign(), other);
        }
        for (name, value) in [
            ("empty", String::new()),
            ("of another token", dpop::hash_of("x")),
            ("of no token", dpop::hash_of("")),
            ("of the token with its scheme", dpop::hash_of(&format!("DPoP {token}"))),
            (
                "of the token without its signature",
                dpop::hash_of(token.rsplit_once('.').unwrap().0),
            ),
            ("padded", format!("{hash}=")),
            ("a space after", format!("{hash} ")),
            ("half", hash[..21].to_owned()),
            ("hexadecimal", hex),
            ("capitals", hash.to_uppercase()),
            ("the token itself", token.to_owned()),
            ("SHA-384", base64url(digest(&SHA384, token.as_bytes()).as_ref())),
            ("SHA-512", base64url(digest(&SHA512, token.as_bytes()).as_ref())),
        ] {
            let text = proof(key).claim("ath", &quoted(&value)).sign();
            family.add(format!("{key:?}: {name}"), text, other);
        }
    }
}

/// Where a nonce is demanded, one of ours that is fresh; then the client's clock does not count.
fn nonces(family: &mut Family) {
    use session::token::dpop::NONCE_LIFE;
    use std::time::Duration;
    let second = Duration::from_secs(1);
    let stale = Refused(ProofError::NoFreshNonce);
    let keys = master(1);
    let fresh = keys.dpop_nonce(START);
    let with = |nonce: &str| proof(Key::Ec).claim("nonce", &quoted(nonce));
    let mut proofs = vec![
        ("absent".to_owned(), proof(Key::Ec), stale),
        ("fresh".to_owned(), with(&fresh), Accepted("RFC 9449 8")),
        (
            "fresh, iat of 1970".to_owned(),
            with(&fresh).claim("iat", "0"),
            Accepted("the nonce tells the time (RFC 9449 4.3, item 11)"),
        ),
        (
            "fresh, iat no date".to_owned(),
            with(&fresh).claim("iat", "null"),
            Refused(ProofError::MalformedClaim),
        ),
        (
            "fresh, expired".to_owned(),
            with(&fresh).claim("exp", "1"),
            Refused(ProofError::WrongTime),
        ),
        (
            "nearly stale".to_owned(),
            with(&keys.dpop_nonce(START.minus(NONCE_LIFE).plus(second))),
            Accepted("RFC 9449 8"),
        ),
        ("just stale".to_owned(), with(&keys.dpop_nonce(START.minus(NONCE_LIFE))), stale),
        (
            "of 1970".to_owned(),
            with(&keys.dpop_nonce(session::model::Timestamp::from_secs(0))),
            stale,
        ),
        ("of the future".to_owned(), with(&keys.dpop_nonce(START.plus(NONCE_LIFE))), stale),
        ("of another key".to_owned(), with(&master(2).dpop_nonce(START)), stale),
        ("empty".to_owned(), with(""), stale),
        ("padded".to_owned(), with(&format!("{fresh}=")), stale),
        ("longer".to_owned(), with(&format!("{fresh}AAAA")), stale),
        ("the jti".to_owned(), with("00000000-0000-4000-8000-000000000000"), stale),
    ];
    for json in NO_TEXTS {
        proofs.push((json.to_owned(), proof(Key::Ec).claim("nonce", json), stale));
    }
    for at in 0..fresh.len() {
        let mut changed = fresh.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        proofs.push((format!("character {at}"), with(&String::from_utf8(changed).unwrap()), stale));
    }
    for (name, draft, expected) in proofs {
        family.add(name, draft.sign(), expected);
        if let Some(proof) = family.proofs.last_mut() {
            proof.nonce = true;
        }
    }
}

/// Other tokens of ours and of others, and texts of any length.
fn kinds(family: &mut Family) {
    /// Captured from Chromium: the registration of a bound session.
    const DBSC: &str = "eyJhbGciOiJFUzI1NiIsImp3ayI6eyJjcnYiOiJQLTI1NiIsImt0eSI6IkVDIiwieCI6InpoYXp3dngzd3d6UVVIZG94SndDc2I4NWtVV2lFWktaMV9Nd0hub05qZ1kiLCJ5IjoieWRkV1hPNXBVd3Y1RU43QjFSWUZPVG9uSHAtMjRvNkxvN1VTa0xKb3hYMCJ9LCJ0eXAiOiJkYnNjK2p3dCJ9.eyJqdGkiOiJUbno3Y0V4TlBsUVBPTkhxIn0.jU12rejfBp-xP28H2m25yuMeU6JIY4jsDKmh2qtAM5eaJemVO3JOfWJSz10AmwhIaWsKni8lXHQPH4Nn-glDQw";
    family.add("an access token", Draft::honest(Key::Ec).sign(), Refused(ProofError::WrongType));
    family.add("the access token shown", access_token(Key::Ec), Refused(ProofError::WrongType));
    family.add("a device's registration", DBSC, Refused(ProofError::WrongType));
    let signed_by_us = proof(Key::Rsa).sign();
    family.add("signed by a key of the stack", signed_by_us, Refused(ProofError::WrongAlgorithm));
    let of_length = |len: usize| {
        let filled = |header: usize, payload: usize| {
            let draft = proof(Key::Ec).header("x", &quoted(&"x".repeat(header)));
            draft.claim("x", &quoted(&"x".repeat(payload))).sign()
        };
        let fill = (len - filled(0, 0).len()) * 3 / 4;
        let mut proofs = (0..3).flat_map(|header| {
            (fill.saturating_sub(8)..=fill + 2).map(move |payload| (header, payload))
        });
        proofs.find_map(|(h, p)| Some(filled(h, p)).filter(|text| text.len() == len)).unwrap()
    };
    for len in [MAX_LEN - 1, MAX_LEN] {
        family.add(format!("{len} bytes"), of_length(len), Accepted("within the limit"));
    }
    for len in [MAX_LEN + 1, 8192, 65_536] {
        family.add(format!("{len} bytes"), of_length(len), Refused(ProofError::TooLong));
    }
    for (name, text) in [("the letter a", "a"), ("dots", "."), ("opening brackets", "W1tb")] {
        let within: String = text.chars().cycle().take(MAX_LEN).collect();
        family.add(format!("{MAX_LEN} characters: {name}"), within, RefusedSomehow);
    }
    for depth in [100, 2000] {
        let deep = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        let expected =
            if depth < 127 { Accepted("serde_json follows 127") } else { RefusedSomehow };
        family.add(
            format!("{depth} arrays in a claim"),
            proof(Key::Ec).claim("x", &deep).sign(),
            expected,
        );
    }
}
