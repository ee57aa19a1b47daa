//! An access token's text in, the session's claims out.

use std::time::Duration;

use anyhow::Context as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, PublicKeyComponents};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bootstrap::SystemClock;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Map, Value, json};
use session::model::{Clock as _, KeyId};
use session::service::AntiCsrfProof;
use session::store::SessionReader as _;
use session::token::SigningKey;
use session::token::access::AccessTokenInput;
use session::token::key::SigningAlgorithm;

use crate::lab::{ISSUER, Lab, USER};
use crate::node::Worker;
use crate::plot;
use crate::report::{Section, micros, table};
use crate::rounds::{Contender, nanos, take_turns, timed};

/// How often each verifies in a turn: a turn is about a millisecond, shorter than what the scheduler gives.
const TIMES: u32 = 40;
const ROUNDS: usize = 101;

const LIBRARIES: [&str; 4] = ["aws-jwt-verify", "fast-jwt", "jose", "supertokens-node"];

/// A signature, and the key that it holds under, with everything done beforehand that can be.
pub struct Raw {
    key: ParsedPublicKey,
    message: Vec<u8>,
    signature: Vec<u8>,
}

impl Raw {
    /// Of a token that one of the keys has signed.
    pub fn new(jwks: &JwkSet, token: &str) -> anyhow::Result<Self> {
        let kid = decode_header(token)?.kid.context("the token names no key")?;
        let jwk = serde_json::to_value(jwks.find(&kid).context("the key is not published")?)?;
        let member = |name: &str| -> anyhow::Result<Vec<u8>> {
            Ok(URL_SAFE_NO_PAD.decode(jwk[name].as_str().context("a member is missing")?)?)
        };
        let key = if jwk["kty"] == "RSA" {
            let components = PublicKeyComponents { n: member("n")?, e: member("e")? };
            components.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)?
        } else {
            let point = [vec![4], member("x")?, member("y")?].concat();
            ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)?
        };
        let (message, signature) = token.rsplit_once('.').context("this is no token")?;
        let signature = URL_SAFE_NO_PAD.decode(signature)?;
        Ok(Self { key, message: message.into(), signature })
    }

    /// Whether it holds, which it does.
    pub fn verify(&self) -> anyhow::Result<()> {
        Ok(self.key.verify_sig(&self.message, &self.signature)?)
    }

    /// Nanoseconds of one verification, of `times`.
    pub fn turn(&self, times: u32) -> anyhow::Result<f64> {
        let (done, time) = timed(|| (0..times).try_for_each(|_| self.verify()));
        done.map(|()| nanos(time) / f64::from(times))
    }
}

/// Measures all verifiers on one token of each algorithm, then what making one costs.
pub fn measure() -> anyhow::Result<Section> {
    let mut section = Section::new("verify");
    let mut rows = Vec::new();
    for algorithm in ["RS256", "ES256"] {
        let lab = Lab::new(algorithm)?;
        let contenders = run(&lab, algorithm)?;
        let [raw, ours, ..] = contenders.as_slice() else { anyhow::bail!("nothing was measured") };
        section.figure(&format!("verify.{algorithm}"), ours.ratio(raw).median);
        section.figure(&format!("verify.{algorithm}.micros"), ours.median() / 1e3);
        let node = contenders.iter().find(|one| one.name.contains("supertokens"));
        let node = node.context("nobody verified in Node")?;
        section.figure(&format!("verify.{algorithm}.node"), node.ratio(ours).median);
        let bars = contenders.iter().map(|one| (one.name.clone(), one.median() / 1e3));
        let title = format!("One verification, {algorithm}, in µs");
        section.plot(&format!("verify-{algorithm}"), &title, plot::bars(bars)?);
        rows.extend(contenders.iter().map(|one| {
            let raw = one.ratio(raw).times();
            [algorithm.to_owned(), one.name.clone(), micros(one.median()), raw]
        }));
    }
    section.text(&table(["", "Verifier", "Median, µs", "÷ raw"], rows));
    mint(&mut section)?;
    Ok(section)
}

/// An access token is made: claims in, text out.
fn mint(section: &mut Section) -> anyhow::Result<()> {
    let lab = Lab::new("RS256")?;
    let created = lab.sign_in(USER)?;
    let session = lab.runtime.block_on(lab.sessions.store().session(&created.handle))?;
    let session = session.context("the session is gone")?;
    let mut rows = Vec::new();
    for algorithm in [SigningAlgorithm::Rs256, SigningAlgorithm::Es256] {
        let name = algorithm.name();
        let pkcs8 = algorithm.generate_pkcs8()?;
        let key = SigningKey::from_pkcs8(KeyId::new("d-1700000000000"), algorithm, &pkcs8)?;
        let hash = created.refresh.hash();
        let input = AccessTokenInput::of(&session, &hash, None);
        let (now, ttl) = (SystemClock.now(), Duration::from_hours(1));
        let sample = input.sign(&key, now, ttl)?.token;
        let (message, _) = sample.rsplit_once('.').context("this is no token")?;
        let signer = RawSigner::new(algorithm, &pkcs8)?;
        let mut contenders = [
            Contender::new("raw signature, parsed key", || {
                let (done, time) =
                    timed(|| (0..SIGNATURES).try_for_each(|_| signer.sign(message.as_bytes())));
                done.map(|()| nanos(time) / f64::from(SIGNATURES))
            }),
            Contender::new("**Sesam**, claims to text", || {
                let sign = || input.sign(&key, now, ttl).map(drop);
                let (done, time) = timed(|| (0..SIGNATURES).try_for_each(|_| sign()));
                done?;
                Ok(nanos(time) / f64::from(SIGNATURES))
            }),
        ];
        take_turns(&mut contenders, ROUNDS)?;
        let [raw, ours] = &contenders;
        section.figure(&format!("mint.{name}"), ours.ratio(raw).median);
        rows.extend(contenders.iter().map(|one| {
            [name.to_owned(), one.name.clone(), micros(one.median()), one.ratio(raw).times()]
        }));
    }
    section.text("An access token is made:");
    section.text(&table(["", "Signer", "Median, µs", "÷ raw"], rows));
    Ok(())
}

/// How often each signs in a turn.
const SIGNATURES: u32 = 8;

/// A parsed key that signs and does nothing else.
pub enum RawSigner {
    /// Of RS256.
    Rsa(Box<RsaKeyPair>),
    /// Of ES256.
    Ec(EcdsaKeyPair),
}

impl RawSigner {
    /// Parses it.
    pub fn new(algorithm: SigningAlgorithm, pkcs8: &[u8]) -> anyhow::Result<Self> {
        Ok(match algorithm {
            SigningAlgorithm::Rs256 => Self::Rsa(Box::new(RsaKeyPair::from_pkcs8(pkcs8)?)),
            SigningAlgorithm::Es256 => {
                Self::Ec(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8)?)
            }
        })
    }

    /// Signs and forgets.
    pub fn sign(&self, message: &[u8]) -> anyhow::Result<()> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let mut signature = [0; 256];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)?;
            }
            Self::Ec(pair) => {
                pair.sign(&random, message)?;
            }
        }
        Ok(())
    }
}

fn run<'a>(lab: &'a Lab, algorithm: &str) -> anyhow::Result<Vec<Contender<'a>>> {
    let token = lab.sign_in(USER)?.access.token;
    let jwks = lab.jwks()?;
    let raw = Raw::new(&jwks, &token)?;
    let mut contenders =
        vec![Contender::new("raw `aws-lc-rs`, parsed key", move || raw.turn(TIMES))];

    let own = token.clone();
    contenders.push(Contender::new("**Sesam**, `Sessions::get`", move || {
        lab.runtime.block_on(async {
            let begun = crate::rounds::now();
            for _ in 0..TIMES {
                lab.sessions.get(&own, AntiCsrfProof::NotUsed, SystemClock.now()).await?;
            }
            Ok(nanos(begun.elapsed()) / f64::from(TIMES))
        })
    }));

    let kid = decode_header(&token)?.kid.context("the token names no key")?;
    let key = DecodingKey::from_jwk(jwks.find(&kid).context("the key is not published")?)?;
    let mut validation = Validation::new(algorithm.parse::<Algorithm>()?);
    validation.set_issuer(&[ISSUER]);
    let theirs = token.clone();
    contenders.push(Contender::new("`jsonwebtoken`", move || {
        let (done, time) = timed(|| {
            (0..TIMES).try_for_each(|_| {
                decode::<Map<String, Value>>(&theirs, &key, &validation).map(drop)
            })
        });
        done?;
        Ok(nanos(time) / f64::from(TIMES))
    }));

    let bench = json!({
        "token": token, "jwks": jwks, "algorithm": algorithm, "issuer": ISSUER, "core": lab.core_url,
    });
    for library in LIBRARIES {
        let mut worker = Worker::start(library, &bench)?;
        let name = format!("Node, `{library}`");
        contenders.push(Contender::new(name, move || worker.verify(TIMES)));
    }
    take_turns(&mut contenders, ROUNDS)?;
    Ok(contenders)
}
