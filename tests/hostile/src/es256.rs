//! ECDSA signatures that are the same in every run.
//!
//! A library draws a random number for each signature. With that number 1 and a private key of 1 to 4, r
//! is the first coordinate of the curve's base point, s is the digest plus so many r, and the public key
//! is that multiple of the base point. (SEC 1 §4.1.3: s = k⁻¹(e + r·d).)

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use num_bigint::BigUint;
use serde_json::json;

const ORDER: &[u8] = b"ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
const PRIME: &[u8] = b"ffffffff00000001000000000000000000000000ffffffffffffffffffffffff";

/// The base point, its double, triple and quadruple: the public keys of 1 to 4.
const MULTIPLES: [[&[u8]; 2]; 4] = [
    [
        b"6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296",
        b"4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
    ],
    [
        b"7cf27b188d034f7e8a52380304b51ac3c08969e277f21b35a60b48fc47669978",
        b"07775510db8ed040293d9ac69f7430dbba7dade63ce982299e04b79d227873d1",
    ],
    [
        b"5ecbe4d1a6330a44c8f7ef951d4bf165e6c6b721efada985fb41661bc6e7fd6c",
        b"8734640c4998ff7e374b06ce1a64a2ecd82ab036384fb83d9a79b127a27d5032",
    ],
    [
        b"e2534a3532d08fbba02dde659ee62bd0031fe2db785596ef509302446b030852",
        b"e0f1575a4c633cc719dfee5fda862d764efc96c3f30ee0055c42c23f184ed8c6",
    ],
];

fn number(hex: &[u8]) -> BigUint {
    BigUint::parse_bytes(hex, 16).unwrap()
}

/// The number of points of P-256: n.
pub(super) fn order() -> BigUint {
    number(ORDER)
}

/// The prime of the field: p.
pub(super) fn prime() -> BigUint {
    number(PRIME)
}

/// The number in 32 bytes.
pub(super) fn bytes(number: &BigUint) -> [u8; 32] {
    let digits = number.to_bytes_be();
    let mut bytes = [0; 32];
    bytes[32 - digits.len()..].copy_from_slice(&digits);
    bytes
}

/// The public key of 1 as an uncompressed point (SEC 1 §2.3.3).
pub(super) fn point() -> Vec<u8> {
    let [x, y] = MULTIPLES[0].map(|coordinate| bytes(&number(coordinate)));
    [&[4][..], &x, &y].concat()
}

/// The public key of `private` as it is published.
pub(super) fn public_jwk(private: usize, key_id: &str) -> Jwk {
    let coordinate = |hex: &[u8]| URL_SAFE_NO_PAD.encode(bytes(&number(hex)));
    let [x, y] = MULTIPLES[private - 1].map(coordinate);
    let jwk = json!({
        "kty": "EC",
        "crv": "P-256",
        "x": x,
        "y": y,
        "kid": key_id,
        "alg": "ES256",
        "use": "sig",
    });
    serde_json::from_value(jwk).unwrap()
}

/// r and s over a digest, under a private key of 1 to 4.
pub(super) fn sign_digest(digest: &[u8], private: usize) -> (BigUint, BigUint) {
    let r = number(MULTIPLES[0][0]);
    // The leftmost 256 bits of a longer digest.
    let e = BigUint::from_bytes_be(&digest[..digest.len().min(32)]);
    let s = (e + &r * private) % order();
    (r, s)
}

/// The signature over a message, as JWS writes it (RFC 7518 §3.4).
pub(super) fn sign(message: &str, private: usize) -> Vec<u8> {
    let (r, s) = sign_digest(digest(&SHA256, message.as_bytes()).as_ref(), private);
    [bytes(&r), bytes(&s)].concat()
}
