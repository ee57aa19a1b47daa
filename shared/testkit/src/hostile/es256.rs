//! ECDSA signatures that are the same in every run.
//!
//! A library draws a random number for each signature. With that number and the private key both 1, r is
//! the first coordinate of the curve's base point, s is the digest plus r, and the public key is the
//! base point itself: the numbers of FIPS 186 are all there is to check. (SEC 1 §4.1.3: s = k⁻¹(e + r·d).)

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use num_bigint::BigUint;
use serde_json::json;

/// The `kid` of the key.
pub(super) const ID: &str = "d-1700000000001";

const ORDER: &[u8] = b"ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
const PRIME: &[u8] = b"ffffffff00000001000000000000000000000000ffffffffffffffffffffffff";
const BASE_X: &[u8] = b"6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296";
const BASE_Y: &[u8] = b"4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";

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

/// The public key as an uncompressed point (SEC 1 §2.3.3).
pub(super) fn point() -> Vec<u8> {
    [&[4][..], &bytes(&number(BASE_X)), &bytes(&number(BASE_Y))].concat()
}

/// The public key as it is published.
pub(super) fn public_jwk() -> Jwk {
    let coordinate = |hex| URL_SAFE_NO_PAD.encode(bytes(&number(hex)));
    let jwk = json!({
        "kty": "EC",
        "crv": "P-256",
        "x": coordinate(BASE_X),
        "y": coordinate(BASE_Y),
        "kid": ID,
        "alg": "ES256",
        "use": "sig",
    });
    serde_json::from_value(jwk).unwrap()
}

/// r and s over a digest, under the private key `private`: 1 for the published key.
pub(super) fn sign_digest(digest: &[u8], private: u32) -> (BigUint, BigUint) {
    let r = number(BASE_X);
    // The leftmost 256 bits of a longer digest.
    let e = BigUint::from_bytes_be(&digest[..digest.len().min(32)]);
    let s = (e + &r * private) % order();
    (r, s)
}

/// The signature over a message, as JWS writes it (RFC 7518 §3.4).
pub(super) fn sign(message: &str, private: u32) -> Vec<u8> {
    let (r, s) = sign_digest(digest(&SHA256, message.as_bytes()).as_ref(), private);
    [bytes(&r), bytes(&s)].concat()
}
