//! RSA on bare numbers, to sign what no library would sign.

use aws_lc_rs::digest::{SHA256, digest};
use num_bigint::BigUint;

use testkit::keys;

/// Bytes of the modulus, and so of every signature.
pub(super) const LEN: usize = 256;

/// What every EMSA-PKCS1-v1_5 encoding of a SHA-256 digest has in front of the digest (RFC 8017 §9.2).
pub(super) const SHA256_INFO: &[u8] =
    b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20";

/// The published dynamic key with its private half.
pub(super) struct Numbers {
    pub(super) modulus: BigUint,
    p: BigUint,
    q: BigUint,
    exponent_p: BigUint,
    exponent_q: BigUint,
    coefficient: BigUint,
}

impl Numbers {
    /// Read from PKCS#8: the third element of the outer sequence holds the numbers in the order of RFC
    /// 8017 appendix A.1.2 (RFC 5958 §2).
    pub(super) fn of_the_dynamic_key() -> Self {
        let outer = elements(elements(keys::DYNAMIC)[0]);
        let numbers = elements(elements(outer[2])[0]);
        let number = |index: usize| BigUint::from_bytes_be(numbers[index]);
        Self {
            modulus: number(1),
            p: number(4),
            q: number(5),
            exponent_p: number(6),
            exponent_q: number(7),
            coefficient: number(8),
        }
    }

    /// The signature whose verification finds `encoded`, whatever that is (RFC 8017 §5.2.1).
    pub(super) fn sign(&self, encoded: &[u8]) -> Vec<u8> {
        let encoded = BigUint::from_bytes_be(encoded);
        let of_p = encoded.modpow(&self.exponent_p, &self.p);
        let of_q = encoded.modpow(&self.exponent_q, &self.q);
        let difference = &self.p + of_p - &of_q % &self.p;
        bytes(&(difference * &self.coefficient % &self.p * &self.q + of_q))
    }
}

/// The number in as many bytes as the modulus has.
pub(super) fn bytes(number: &BigUint) -> Vec<u8> {
    let digits = number.to_bytes_be();
    [vec![0; LEN - digits.len()], digits].concat()
}

/// `00 01 ff … ff 00` and then `tail`, [`LEN`] bytes in all.
pub(super) fn padded(tail: &[u8]) -> Vec<u8> {
    [&[0, 1][..], &vec![0xff; LEN - 3 - tail.len()], &[0], tail].concat()
}

/// EMSA-PSS with SHA-256 and a salt of zeros (RFC 8017 §9.1.1).
pub(super) fn pss(message: &str, salt_len: usize) -> Vec<u8> {
    let salt = vec![0; salt_len];
    let message_hash = digest(&SHA256, message.as_bytes());
    let hash = digest(&SHA256, &[&[0; 8][..], message_hash.as_ref(), &salt].concat());
    let hash = hash.as_ref();
    let block_len = LEN - hash.len() - 1;
    let block = [vec![0; block_len - salt_len - 1], vec![1], salt].concat();
    let mask = (0_u32..).flat_map(|counter| {
        let part = digest(&SHA256, &[hash, &counter.to_be_bytes()].concat());
        part.as_ref().to_vec()
    });
    let mut masked: Vec<u8> = block.iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect();
    masked[0] &= 0x7f;
    [&masked, hash, &[0xbc]].concat()
}

/// The contents of the DER elements that follow each other in `der`.
fn elements(mut der: &[u8]) -> Vec<&[u8]> {
    let mut contents = Vec::new();
    while let [_tag, first, rest @ ..] = der {
        let (len, rest) = match first {
            0x81 => (usize::from(rest[0]), &rest[1..]),
            0x82 => (usize::from(rest[0]) << 8 | usize::from(rest[1]), &rest[2..]),
            short => (usize::from(*short), rest),
        };
        contents.push(&rest[..len]);
        der = &rest[len..];
    }
    contents
}
