//! The signature layer against published vectors: RFC 7515, RFC 7517 and Wycheproof.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::signature::Verifier as _;
use serde_json::{Value, json};
use session::token::{UnverifiedAccessToken, VerifyingKey};
use wycheproof::TestResult;

fn key(jwk: Value) -> Option<VerifyingKey> {
    VerifyingKey::from_jwk(&serde_json::from_value(jwk).ok()?).ok()
}

/// Whether the signature of a compact JWS holds.
fn holds(key: &VerifyingKey, jws: &str) -> bool {
    let (message, signature) = jws.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    key.verify(message.as_bytes(), &signature).is_ok()
}

/// RFC 7515 appendix A.2.1, as a public key.
fn rfc_7515_rsa() -> Value {
    json!({
        "kty": "RSA",
        "alg": "RS256",
        "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL\
              -yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9\
              e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAc\
              o9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
        "e": "AQAB",
    })
}

/// RFC 7515 appendix A.3.1, as a public key.
fn rfc_7515_ec() -> Value {
    json!({
        "kty": "EC",
        "alg": "ES256",
        "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    })
}

/// The payload of all examples in appendix A.
const PAYLOAD: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

/// Appendix A.2.
fn rs256_jws() -> String {
    let signature = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5ju\
         jGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0Ga\
         rZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs\
         98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    format!("eyJhbGciOiJSUzI1NiJ9.{PAYLOAD}.{signature}")
}

/// Appendix A.3.
fn es256_jws() -> String {
    let signature =
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    format!("eyJhbGciOiJFUzI1NiJ9.{PAYLOAD}.{signature}")
}

/// Appendix A.1.
fn hs256_jws() -> String {
    let signature = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    format!("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{PAYLOAD}.{signature}")
}

/// Appendix A.5.
fn unsigned_jws() -> String {
    format!("eyJhbGciOiJub25lIn0.{PAYLOAD}.")
}

#[test]
fn the_rs256_example_of_rfc_7515_holds_under_its_key_only() {
    let (rsa, ec) = (key(rfc_7515_rsa()).unwrap(), key(rfc_7515_ec()).unwrap());
    assert!(holds(&rsa, &rs256_jws()));
    assert!(!holds(&ec, &rs256_jws()));
}

#[test]
fn the_es256_example_of_rfc_7515_holds_under_its_key_only() {
    let (rsa, ec) = (key(rfc_7515_rsa()).unwrap(), key(rfc_7515_ec()).unwrap());
    assert!(holds(&ec, &es256_jws()));
    assert!(!holds(&rsa, &es256_jws()));
}

#[test]
fn the_hs256_and_the_unsigned_example_of_rfc_7515_are_refused() {
    let secret = json!({
        "kty": "oct",
        "alg": "HS256",
        "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    });
    assert!(key(secret).is_none(), "a secret is no verifying key");
    for verifying in [key(rfc_7515_rsa()).unwrap(), key(rfc_7515_ec()).unwrap()] {
        assert!(!holds(&verifying, &hs256_jws()));
        assert!(!holds(&verifying, &unsigned_jws()));
    }
}

#[test]
fn no_example_of_rfc_7515_is_an_access_token() {
    for jws in [rs256_jws(), es256_jws(), hs256_jws(), unsigned_jws()] {
        assert!(UnverifiedAccessToken::parse(&jws).is_none());
    }
}

/// RFC 7517 appendix A.1. The first key says neither algorithm nor that it signs, so it is not used.
#[test]
fn the_keys_of_rfc_7517_are_read_where_they_name_their_algorithm() {
    let ec = json!({
        "kty": "EC",
        "crv": "P-256",
        "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
        "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
        "use": "enc",
        "kid": "1",
    });
    let rsa = json!({
        "kty": "RSA",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZ\
              CiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8\
              KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-\
              G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        "e": "AQAB",
        "alg": "RS256",
        "kid": "2011-04-29",
    });
    assert!(key(ec.clone()).is_none());
    assert!(key(rsa.clone()).is_some());
    let with = |mut jwk: Value, name: &str, value: &str| {
        jwk[name] = value.into();
        key(jwk)
    };
    assert!(with(ec.clone(), "alg", "ES256").is_some());
    for (name, value) in [("alg", "RS256"), ("alg", "ES384"), ("crv", "P-384"), ("x", "AA")] {
        let mut ec = ec.clone();
        ec["alg"] = "ES256".into();
        assert!(with(ec, name, value).is_none(), "EC key with {name} {value}");
    }
    for (name, value) in [("alg", "ES256"), ("alg", "PS256"), ("alg", "HS256"), ("n", "a+b/")] {
        assert!(with(rsa.clone(), name, value).is_none(), "RSA key with {name} {value}");
    }
}

/// What Wycheproof says of a signature and what we say.
#[derive(Debug, Default, PartialEq)]
struct Counts {
    valid: usize,
    invalid: usize,
    acceptable_and_refused: usize,
}

impl Counts {
    fn add(&mut self, id: usize, expected: TestResult, holds: bool) {
        match expected {
            TestResult::Valid => self.valid += 1,
            TestResult::Invalid => self.invalid += 1,
            TestResult::Acceptable => self.acceptable_and_refused += 1,
        }
        assert_eq!(holds, expected == TestResult::Valid, "case {id}, {expected:?}");
    }
}

#[test]
fn wycheproof_ecdsa_on_p_256_with_sha_256() {
    use wycheproof::ecdsa::{TestName, TestSet};
    let mut counts = Counts::default();
    for group in TestSet::load(TestName::EcdsaSecp256r1Sha256P1363).unwrap().test_groups {
        let point = &group.key.key[1..];
        let (x, y) = point.split_at(32);
        let key = key(json!({
            "kty": "EC",
            "alg": "ES256",
            "crv": "P-256",
            "x": URL_SAFE_NO_PAD.encode(x),
            "y": URL_SAFE_NO_PAD.encode(y),
        }));
        for test in group.tests {
            let holds = key.as_ref().unwrap().verify(&test.msg, &test.sig.to_vec()).is_ok();
            counts.add(test.tc_id, test.result, holds);
        }
    }
    assert_eq!(counts, Counts { valid: 173, invalid: 89, acceptable_and_refused: 0 });
}

/// The one acceptable case leaves out the parameters of the digest's name, which RFC 8017 §9.2 wants.
#[test]
fn wycheproof_rsa_2048_with_sha_256() {
    use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};
    let mut counts = Counts::default();
    for group in TestSet::load(TestName::Rsa2048Sha256).unwrap().test_groups {
        let number = |number: &[u8]| {
            let zeros = number.iter().take_while(|byte| **byte == 0).count();
            URL_SAFE_NO_PAD.encode(&number[zeros..])
        };
        let key = key(json!({
            "kty": "RSA",
            "alg": "RS256",
            "n": number(&group.key.n),
            "e": number(&group.key.e),
        }));
        for test in group.tests {
            let holds = key.as_ref().unwrap().verify(&test.msg, &test.sig.to_vec()).is_ok();
            counts.add(test.tc_id, test.result, holds);
        }
    }
    assert_eq!(counts, Counts { valid: 9, invalid: 249, acceptable_and_refused: 1 });
}
