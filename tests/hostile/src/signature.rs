//! What the signature can be.

use aws_lc_rs::digest::{self, digest};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::KeyPair as _;
use num_bigint::BigUint;

use super::Cause::{BadSignature, WrongAlgorithm};
use super::Expected::{Accepted, TryRefresh};
use super::draft::{Draft, Key, quoted};
use super::{Expected, Family, es256, rsa};
use testkit::keys;

const BAD: Expected = TryRefresh(BadSignature);

/// Everything that is published of a key, as the bytes that somebody could take for a secret.
fn published_forms(key: Key) -> Vec<(&'static str, Vec<u8>)> {
    let (jwk, spki, numbers) = match key {
        Key::Ec => {
            let point = es256::point();
            // SubjectPublicKeyInfo of a key on P-256 (RFC 5480 §2).
            let spki = [
                &b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d"[..],
                b"\x03\x01\x07\x03\x42\x00",
                &point,
            ];
            let numbers = vec![("x", point[1..33].to_vec()), ("point", point.clone())];
            (es256::public_jwk(1, Key::Ec.id()), spki.concat(), numbers)
        }
        _ => {
            let pair = KeyPair::from_pkcs8(keys::DYNAMIC).unwrap();
            let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
            let modulus = pair.public_key().modulus().big_endian_without_leading_zero().to_vec();
            let pkcs1 = pair.public_key().as_ref().to_vec();
            let numbers = vec![("modulus", modulus), ("PKCS#1", pkcs1)];
            (keys::dynamic().public_jwk(), spki.as_ref().to_vec(), numbers)
        }
    };
    let pem = |line_feed: &str, end: &str| {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(&spki);
        let lines: Vec<_> =
            text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        let lines = lines.join(line_feed);
        format!(
            "-----BEGIN PUBLIC KEY-----{line_feed}{lines}{line_feed}-----END PUBLIC KEY-----{end}"
        )
        .into_bytes()
    };
    let mut forms = vec![
        ("PEM", pem("\n", "\n")),
        ("PEM without last line feed", pem("\n", "")),
        ("PEM with carriage returns", pem("\r\n", "\r\n")),
        ("SubjectPublicKeyInfo", spki.clone()),
        ("JWK", serde_json::to_vec(&jwk).unwrap()),
        ("kid", key.id().as_bytes().to_vec()),
        ("nothing", Vec::new()),
        ("the word secret", b"secret".to_vec()),
    ];
    forms.extend(numbers);
    forms
}

/// One algorithm for a key, so that a public key never becomes a secret (RFC 8725 §2.1, §3.1).
pub(super) fn confusions(family: &mut Family) {
    for key in Key::BOTH {
        for (form, secret) in published_forms(key) {
            for (name, algorithm) in [
                ("HS256", hmac::HMAC_SHA256),
                ("HS384", hmac::HMAC_SHA384),
                ("HS512", hmac::HMAC_SHA512),
            ] {
                let secret = hmac::Key::new(algorithm, &secret);
                for (named, expected) in
                    [(name, TryRefresh(WrongAlgorithm)), (key.algorithm(), BAD)]
                {
                    let draft = Draft::honest(key).header("alg", &quoted(named));
                    let tag = hmac::sign(&secret, draft.message().as_bytes());
                    let name = format!("{key:?}: {name} keyed with {form}, named {named}");
                    family.add(name, draft.with(tag.as_ref()), expected);
                }
            }
        }
        let other = Draft::honest(key).signed_by(key.other());
        family.add(format!("{key:?}: signed by the other key"), other.sign(), BAD);
        let other = other.header("alg", &quoted(key.other().algorithm())).sign();
        let wrong = TryRefresh(WrongAlgorithm);
        family.add(format!("{key:?}: signed by the other key, and named so"), other, wrong);
        for (name, bytes) in [
            (
                "digest",
                digest(&digest::SHA256, Draft::honest(key).message().as_bytes()).as_ref().to_vec(),
            ),
            ("message", Draft::honest(key).message().into_bytes()),
            ("published key", es256::point()),
        ] {
            let token = Draft::honest(key).with(&bytes);
            family.add(format!("{key:?}: the {name} for a signature"), token, BAD);
        }
    }
    let foreign =
        [("Rsa", Key::ForeignRsa), ("Ec", Key::ForeignEc), ("Rsa static", Key::StaticRsa)];
    for (name, key) in foreign {
        let claimed = if key == Key::ForeignEc { Key::Ec } else { Key::Rsa };
        let token = Draft::honest(claimed).signed_by(key).sign();
        family.add(format!("{name}: signed by another key of the algorithm"), token, BAD);
    }
}

/// A signature has exactly one length.
pub(super) fn lengths(family: &mut Family) {
    for (key, step) in [(Key::Rsa, 2), (Key::Ec, 1)] {
        let draft = Draft::honest(key);
        let signature = key.sign(&draft.message());
        for len in (0..signature.len()).step_by(step) {
            let name = format!("{key:?}: first {len} of {} bytes", signature.len());
            family.add(name, draft.with(&signature[..len]), BAD);
            let name = format!("{key:?}: last {len} of {} bytes", signature.len());
            if len > 0 {
                family.add(name, draft.with(&signature[signature.len() - len..]), BAD);
            }
        }
        for added in [1, 2, 3, 16, 32, 64, 256] {
            let zeros = vec![0; added];
            let name = format!("{key:?}: {added} zeros before");
            family.add(name, draft.with(&[&zeros, &signature[..]].concat()), BAD);
            let name = format!("{key:?}: {added} zeros after");
            family.add(name, draft.with(&[&signature[..], &zeros].concat()), BAD);
        }
        let twice = [&signature[..], &signature].concat();
        family.add(format!("{key:?}: twice"), draft.with(&twice), BAD);
    }
}

/// One bit is another, all along the signature.
pub(super) fn bits(family: &mut Family) {
    for (key, step) in [(Key::Rsa, 4), (Key::Ec, 1)] {
        let draft = Draft::honest(key);
        let signature = key.sign(&draft.message());
        for at in (0..signature.len()).step_by(step) {
            let bit = at / step % 8;
            let mut changed = signature.clone();
            changed[at] ^= 1 << bit;
            family.add(format!("{key:?}: bit {bit} of byte {at}"), draft.with(&changed), BAD);
        }
    }
}

/// Pairs of numbers that a careless check lets pass: 0 first of all (CVE-2022-21449).
///
/// (r, n − s) is valid whenever (r, s) is, and half of all signers' signatures are of either form (FIPS
/// 186-5 knows no preference, nor does RFC 7518 §3.4), so both are accepted. Nothing here takes a token
/// for the only one of its content.
pub(super) fn ecdsa_numbers(family: &mut Family) {
    let draft = Draft::honest(Key::Ec);
    let message = draft.message();
    let (r, s) = es256::sign_digest(digest(&digest::SHA256, message.as_bytes()).as_ref(), 1);
    let (n, p) = (es256::order(), es256::prime());
    let all_ones = BigUint::from_bytes_be(&[0xff; 32]);
    let half = &n >> 1_u32;
    let number = |number: u32| BigUint::from(number);
    let numbers: [(&str, BigUint); 14] = [
        ("r", r.clone()),
        ("s", s.clone()),
        ("n-r", &n - &r),
        ("n-s", &n - &s),
        ("0", number(0)),
        ("1", number(1)),
        ("2", number(2)),
        ("n/2", half),
        ("n-1", &n - 1_u32),
        ("n", n.clone()),
        ("n+1", &n + 1_u32),
        ("p-n", &p - &n),
        ("p", p),
        ("2^256-1", all_ones),
    ];
    for (r_name, r) in &numbers {
        for (s_name, s) in &numbers {
            let expected = match (*r_name, *s_name) {
                ("r", "s") => Accepted("the signature"),
                ("r", "n-s") => {
                    Accepted("as valid as (r, s): ECDSA has two signatures (FIPS 186-5)")
                }
                _ => BAD,
            };
            let signature = [es256::bytes(r), es256::bytes(s)].concat();
            family.add(format!("({r_name}, {s_name})"), draft.with(&signature), expected);
        }
    }
}

/// Two numbers of 32 bytes, big end first (RFC 7518 §3.4), over SHA-256 of the message.
pub(super) fn ecdsa_encodings(family: &mut Family) {
    let draft = Draft::honest(Key::Ec);
    let message = draft.message();
    let (header, payload) = message.split_once('.').unwrap();
    let signature = Key::Ec.sign(&message);
    let (r, s) = signature.split_at(32);
    let integer = |number: &[u8]| {
        let sign = if number[0] >= 0x80 { &[0][..] } else { &[] };
        let len = u8::try_from(number.len() + sign.len()).unwrap();
        [&[2, len], sign, number].concat()
    };
    let sequence =
        |content: &[u8]| [&[0x30, u8::try_from(content.len()).unwrap()], content].concat();
    let (der_r, der_s) = (integer(r), integer(s));
    let content = [&der_r[..], &der_s].concat();
    let long_form = [&[0x30, 0x81, u8::try_from(content.len()).unwrap()], &content[..]].concat();
    let reversed = |bytes: &[u8]| bytes.iter().rev().copied().collect::<Vec<u8>>();
    let hex: String = signature.iter().map(|byte| format!("{byte:02x}")).collect();
    let wide = |len: usize| {
        let zeros = vec![0; len - 32];
        [&zeros[..], r, &zeros, s].concat()
    };
    for (name, bytes) in [
        ("DER", sequence(&content)),
        ("DER, length in long form", long_form),
        (
            "DER, zero bytes before",
            sequence(&[integer(&[&[0], r].concat()), der_s.clone()].concat()),
        ),
        ("DER, s missing", sequence(&der_r)),
        ("DER, no signs", sequence(&[&[2, 32][..], r, &[2, 32], s].concat())),
        ("DER of zeros", sequence(&[2, 1, 0, 2, 1, 0])),
        ("DER, empty", sequence(&[])),
        ("s before r", [s, r].concat()),
        ("little end first", [reversed(r), reversed(s)].concat()),
        ("recovery byte before", [&[27][..], &signature].concat()),
        ("recovery byte after", [&signature[..], &[0]].concat()),
        ("33 bytes each", wide(33)),
        ("48 bytes each, as on P-384", wide(48)),
        ("66 bytes each, as on P-521", wide(66)),
        ("hexadecimal", hex.into_bytes()),
    ] {
        family.add(name, draft.with(&bytes), BAD);
    }
    let over = |digest: &[u8]| {
        let (r, s) = es256::sign_digest(digest, 1);
        draft.with(&[es256::bytes(&r), es256::bytes(&s)].concat())
    };
    for (name, algorithm) in [
        ("SHA-1", &digest::SHA1_FOR_LEGACY_USE_ONLY),
        ("SHA-224", &digest::SHA224),
        ("SHA-384", &digest::SHA384),
        ("SHA-512", &digest::SHA512),
        ("SHA-512/256", &digest::SHA512_256),
        ("SHA3-256", &digest::SHA3_256),
    ] {
        family.add(
            format!("over {name}"),
            over(digest(algorithm, message.as_bytes()).as_ref()),
            BAD,
        );
    }
    let sha256 = |text: &str| digest(&digest::SHA256, text.as_bytes()).as_ref().to_vec();
    let decoded = format!("{}.{}", draft.header_text(), draft.payload_text());
    for (name, digest) in [
        ("no digest", message.as_bytes().to_vec()),
        ("the header only", sha256(header)),
        ("the payload only", sha256(payload)),
        ("the payload before the header", sha256(&format!("{payload}.{header}"))),
        ("the decoded parts", sha256(&decoded)),
        (
            "the decoded payload, as b64 false would",
            sha256(&format!("{header}.{}", draft.payload_text())),
        ),
        ("the digest of the digest", digest(&digest::SHA256, &sha256(&message)).as_ref().to_vec()),
        ("nothing", sha256("")),
        ("zeros", vec![0; 32]),
    ] {
        family.add(format!("over {name}"), over(&digest), BAD);
    }
}

/// EMSA-PKCS1-v1_5 with SHA-256 and not one bit different (RFC 8017 §8.2.2, §9.2).
pub(super) fn rsa_paddings(family: &mut Family) {
    let numbers = rsa::Numbers::of_the_dynamic_key();
    let draft = Draft::honest(Key::Rsa);
    let message = draft.message();
    let sha256 = digest(&digest::SHA256, message.as_bytes());
    let sha256 = sha256.as_ref();
    let info = [rsa::SHA256_INFO, sha256].concat();
    let right = rsa::padded(&info);
    let with = |at: usize, byte: u8| {
        let mut encoded = right.clone();
        encoded[at] = byte;
        encoded
    };
    // Padding of the least length, the digest, and then anything: with e = 3 that could be computed
    // without the private key (Bleichenbacher 2006).
    let forgeable = |padding: usize| {
        let mut encoded = [&[0, 1][..], &vec![0xff; padding], &[0], &info].concat();
        encoded.resize(rsa::LEN, 0xaa);
        encoded
    };
    let short = |padding: usize| {
        let encoded = [&[0, 1][..], &vec![0xff; padding], &[0], &info].concat();
        [vec![0; rsa::LEN - encoded.len()], encoded].concat()
    };
    // DigestInfo with other parameters or lengths (CVE-2006-4790, BERserk).
    let other_info = |head: &[u8]| rsa::padded(&[head, sha256].concat());
    let digests = [
        (
            "SHA-1",
            &b"\x30\x21\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x14"[..],
            &digest::SHA1_FOR_LEGACY_USE_ONLY,
        ),
        (
            "SHA-224",
            b"\x30\x2d\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x04\x05\x00\x04\x1c",
            &digest::SHA224,
        ),
        (
            "SHA-384",
            b"\x30\x41\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\x04\x30",
            &digest::SHA384,
        ),
        (
            "SHA-512",
            b"\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40",
            &digest::SHA512,
        ),
    ];
    for (name, info, algorithm) in digests {
        let hash = digest(algorithm, message.as_bytes());
        let encoded = rsa::padded(&[info, hash.as_ref()].concat());
        family.add(
            format!("{name} in its own DigestInfo"),
            draft.with(&numbers.sign(&encoded)),
            BAD,
        );
    }
    let other_message = digest(&digest::SHA256, b"another message");
    for (name, encoded) in [
        ("PSS without salt", rsa::pss(&message, 0)),
        ("PSS with 32 bytes of salt", rsa::pss(&message, 32)),
        ("PSS with the longest salt", rsa::pss(&message, 222)),
        ("another message", rsa::padded(&[rsa::SHA256_INFO, other_message.as_ref()].concat())),
        ("digest without DigestInfo", rsa::padded(sha256)),
        ("digest without padding", [vec![0; rsa::LEN - 32], sha256.to_vec()].concat()),
        ("DigestInfo without padding", [vec![0; rsa::LEN - info.len()], info.clone()].concat()),
        ("DigestInfo without digest", rsa::padded(rsa::SHA256_INFO)),
        ("no parameters", other_info(
            b"\x30\x2f\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x04\x20")),
        ("parameters of zero bytes", other_info(
            b"\x30\x33\x30\x0f\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x02\x00\x00\x04\x20")),
        ("long form of the outer length", other_info(
            b"\x30\x81\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20")),
        ("indefinite length", other_info(
            b"\x30\x80\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20")),
        ("other tag of the digest", other_info(
            b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x03\x20")),
        ("name of another digest", other_info(
            b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x08\x05\x00\x04\x20")),
        ("byte after the digest", rsa::padded(&[&info[..], &[0]].concat())),
        ("8 bytes of padding, then garbage", forgeable(8)),
        ("no padding, then garbage", forgeable(0)),
        ("7 bytes of padding", short(7)),
        ("8 bytes of padding", short(8)),
        ("201 bytes of padding", short(201)),
        ("first byte 1", with(0, 1)),
        ("block type 0", with(1, 0)),
        ("block type 2", with(1, 2)),
        ("first byte of padding", with(2, 0xfe)),
        ("byte in the padding", with(100, 0)),
        ("last byte of padding", with(203, 0x7f)),
        ("no zero after the padding", with(204, 0xff)),
        ("first byte of DigestInfo", with(205, 0x31)),
        ("last byte of the digest", with(255, right[255] ^ 1)),
        ("all zeros", vec![0; rsa::LEN]),
        ("the message itself", message.as_bytes()[..rsa::LEN - 1].to_vec()),
    ] {
        family.add(name, draft.with(&numbers.sign(&encoded)), BAD);
    }
    let right = draft.with(&numbers.sign(&right));
    family.add("the right one", right, Accepted("the signature"));
}

/// Numbers that are the signature in another form, or that need no private key.
pub(super) fn rsa_numbers(family: &mut Family) {
    let n = rsa::Numbers::of_the_dynamic_key().modulus;
    // A message whose signature is small enough to stay within 256 bytes when the modulus is added.
    let (draft, signature) = (0..)
        .map(|number: u32| {
            let draft = Draft::honest(Key::Rsa).claim("jti", &quoted(&number.to_string()));
            let signature = BigUint::from_bytes_be(&Key::Rsa.sign(&draft.message()));
            (draft, signature)
        })
        .find(|(_, signature)| (signature + &n).bits() <= 2048)
        .unwrap();
    let number = |number: u32| BigUint::from(number);
    for (name, value) in [
        ("s + n", &signature + &n),
        ("n - s", &n - &signature),
        ("0", number(0)),
        ("1", number(1)),
        ("2", number(2)),
        ("n - 1", &n - 1_u32),
        ("n", n.clone()),
        ("n + 1", &n + 1_u32),
        ("n / 2", &n >> 1_u32),
        ("2^2048 - 1", BigUint::from_bytes_be(&[0xff; rsa::LEN])),
        ("s + 1", &signature + 1_u32),
        ("s - 1", &signature - 1_u32),
        ("2 s", (&signature * 2_u32) % &n),
        ("s squared", (&signature * &signature) % &n),
        ("1 / s", signature.modinv(&n).unwrap()),
    ] {
        family.add(name, draft.with(&rsa::bytes(&value)), BAD);
    }
    let reversed: Vec<u8> = rsa::bytes(&signature).into_iter().rev().collect();
    family.add("s, little end first", draft.with(&reversed), BAD);
    let why = "the signature";
    family.add("s", draft.with(&rsa::bytes(&signature)), Accepted(why));
}
