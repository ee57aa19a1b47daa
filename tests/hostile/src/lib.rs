//! Tokens that an attacker, another issuer or an accident could present as access tokens, and what they
//! could present as DPoP proofs ([`proofs`]).
//!
//! Every run makes the same tokens, byte for byte, so that how many of each family get which verdict is a
//! table in the repository (`verdicts.tsv`) and other libraries can judge the very same ones
//! (`differential.test.js`). The families are functions below; each token states what must become of it,
//! by rule, where it is made.

mod claims;
mod draft;
mod encoding;
mod es256;
mod header;
mod honest;
mod kinds;
pub mod proofs;
mod rsa;
mod signature;

use std::fmt;
use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::json;
use session::model::keys::LEAD;
use session::model::{KeyLife, Timestamp};
use session::token::{PublishedKey, TokenError, UnverifiedAccessToken, VerifyingKeySet};

use self::draft::Key;
use testkit::clock::START;
use testkit::keys;

/// Where the summary of the verdicts is.
pub const SUMMARY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/verdicts.tsv");

/// Adds the tokens of one family.
type MakeTokens = fn(&mut Family);

/// Every family, in the order of the table.
const FAMILIES: [(&str, MakeTokens); 29] = [
    ("honest", honest::tokens),
    ("algorithm name", header::algorithm_names),
    ("algorithm confusion", signature::confusions),
    ("key id", header::key_ids),
    ("header parameter", header::parameters),
    ("critical extension", header::critical_extensions),
    ("type", header::types),
    ("version", header::versions),
    ("header JSON", header::texts),
    ("payload JSON", claims::texts),
    ("segments", encoding::segments),
    ("padding", encoding::padding),
    ("alphabet", encoding::alphabet),
    ("last character", encoding::last_characters),
    ("changed character", encoding::changed_characters),
    ("signature length", signature::lengths),
    ("signature bit", signature::bits),
    ("ECDSA numbers", signature::ecdsa_numbers),
    ("ECDSA encoding", signature::ecdsa_encodings),
    ("RSA padding", signature::rsa_paddings),
    ("RSA numbers", signature::rsa_numbers),
    ("session claims", claims::session_claims),
    ("dates", claims::dates),
    ("expiry", claims::expiry),
    ("session token type", claims::session_token_types),
    ("prototype", claims::prototypes),
    ("depth", claims::depths),
    ("length", encoding::lengths),
    ("kind and origin", kinds::tokens),
];

/// One token and what must become of it.
#[derive(Clone, Debug)]
pub struct HostileToken {
    /// The family it belongs to.
    pub family: &'static str,
    /// Its name, of printable ASCII; unique in the family.
    pub name: String,
    /// The token, which may be anything.
    pub text: String,
    /// When it is presented.
    pub now: Timestamp,
    /// The kind of key that is configured.
    pub dynamic_keys: bool,
    /// What the contract and the RFCs demand.
    pub expected: Expected,
}

/// What must become of a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expected {
    /// Accepted, and why that is right.
    Accepted(&'static str),
    /// As good as absent.
    NotOurs,
    /// A token of ours that does not hold.
    TryRefresh(Cause),
    /// Not accepted; which check fails first is chance.
    Refused,
}

/// Why a token of ours does not hold: the kinds of [`TokenError`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cause {
    /// [`TokenError::UnknownKey`]
    UnknownKey,
    /// [`TokenError::WrongAlgorithm`]
    WrongAlgorithm,
    /// [`TokenError::CriticalExtension`]
    CriticalExtension,
    /// [`TokenError::BadSignature`]
    BadSignature,
    /// [`TokenError::Expired`]
    Expired,
    /// [`TokenError::NotYetValid`]
    NotYetValid,
    /// [`TokenError::WrongKeyKind`]
    WrongKeyKind,
}

impl From<TokenError> for Cause {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::UnknownKey => Self::UnknownKey,
            TokenError::WrongAlgorithm => Self::WrongAlgorithm,
            TokenError::CriticalExtension => Self::CriticalExtension,
            TokenError::BadSignature => Self::BadSignature,
            TokenError::Expired(_) => Self::Expired,
            TokenError::NotYetValid(_) => Self::NotYetValid,
            TokenError::WrongKeyKind => Self::WrongKeyKind,
        }
    }
}

/// What became of a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The request is let through.
    Accepted,
    /// As good as absent.
    NotOurs,
    /// 401, upon which clients refresh.
    TryRefresh(Cause),
}

impl Verdict {
    /// Whether this is what was demanded.
    #[must_use]
    pub fn is(self, expected: Expected) -> bool {
        match expected {
            Expected::Accepted(_) => self == Self::Accepted,
            Expected::NotOurs => self == Self::NotOurs,
            Expected::TryRefresh(cause) => self == Self::TryRefresh(cause),
            Expected::Refused => self != Self::Accepted,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accepted => "accepted",
            Self::NotOurs => "not ours",
            Self::TryRefresh(cause) => match cause {
                Cause::UnknownKey => "try refresh: unknown key",
                Cause::WrongAlgorithm => "try refresh: wrong algorithm",
                Cause::CriticalExtension => "try refresh: critical extension",
                Cause::BadSignature => "try refresh: bad signature",
                Cause::Expired => "try refresh: expired",
                Cause::NotYetValid => "try refresh: not yet valid",
                Cause::WrongKeyKind => "try refresh: wrong kind of key",
            },
        })
    }
}

impl HostileToken {
    /// What the verifier says of it.
    #[must_use]
    pub fn verdict(&self, keys: &VerifyingKeySet) -> Verdict {
        match UnverifiedAccessToken::parse(&self.text) {
            None => Verdict::NotOurs,
            Some(token) => match token.verify(keys, self.now, self.dynamic_keys) {
                Ok(_) => Verdict::Accepted,
                Err(error) => Verdict::TryRefresh(error.into()),
            },
        }
    }
}

/// The tokens of one family.
struct Family {
    name: &'static str,
    tokens: Vec<HostileToken>,
}

impl Family {
    /// A token presented at [`START`] where dynamic keys are required.
    fn add(&mut self, name: impl Into<String>, text: impl Into<String>, expected: Expected) {
        self.add_at(START, name, text, expected);
    }

    /// A token presented at another time.
    fn add_at(
        &mut self,
        now: Timestamp,
        name: impl Into<String>,
        text: impl Into<String>,
        expected: Expected,
    ) {
        let (name, text) = (name.into(), text.into());
        assert!(name.chars().all(|c| c == ' ' || c.is_ascii_graphic()), "{name:?}");
        let family = self.name;
        self.tokens.push(HostileToken { family, name, text, now, dynamic_keys: true, expected });
    }

    /// The last token is presented where static keys are required.
    fn where_static_keys_sign(&mut self) {
        if let Some(token) = self.tokens.last_mut() {
            token.dynamic_keys = false;
        }
    }
}

/// All tokens, family by family; the same in every run, and made once in a process.
pub fn all() -> &'static [HostileToken] {
    static ALL: LazyLock<Vec<HostileToken>> = LazyLock::new(|| {
        let families = FAMILIES.into_iter().flat_map(|(name, make)| {
            let mut family = Family { name, tokens: Vec::new() };
            make(&mut family);
            family.tokens
        });
        families.collect()
    });
    &ALL
}

/// The keys of the table: a dynamic and a static one on RSA, a dynamic one on P-256, and three in other
/// parts of their life.
#[must_use]
pub fn verifying_keys() -> VerifyingKeySet {
    let active = KeyLife::new(START, START);
    let next = KeyLife::new(START, START.plus(LEAD));
    let until = |accepted_until: Timestamp| KeyLife {
        signs_until: Some(accepted_until.minus(LEAD)),
        accepted_until: Some(accepted_until),
        ..active
    };
    let ec = |private: usize, key: Key| es256::public_jwk(private, key.id());
    let keys = [
        (keys::dynamic().public_jwk(), active),
        (keys::fixed().public_jwk(), active),
        (ec(1, Key::Ec), active),
        (ec(3, Key::Next), next),
        (ec(4, Key::Retiring), until(START.plus(LEAD))),
        (keys::foreign(Key::Removed.id()).public_jwk(), until(START)),
    ];
    let keys = keys.map(|(jwk, life)| PublishedKey { jwk, life });
    VerifyingKeySet::new(keys.into()).unwrap()
}

/// The table of verdicts: family, name, length in bytes, the first 8 bytes of the token's SHA-256, the
/// verdict, and for an accepted token why that is right.
#[must_use]
pub fn table() -> String {
    let keys = verifying_keys();
    let mut table = "family\tname\tlength\tSHA-256\tverdict\twhy\n".to_owned();
    for token in all() {
        let hash = digest(&SHA256, token.text.as_bytes());
        let hash: String = hash.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let why = match token.expected {
            Expected::Accepted(why) => why,
            Expected::NotOurs | Expected::TryRefresh(_) | Expected::Refused => "",
        };
        let (family, name, len) = (token.family, &token.name, token.text.len());
        let verdict = token.verdict(&keys);
        let line = format!("{family}\t{name}\t{len}\t{hash}\t{verdict}\t{why}");
        table.push_str(line.trim_end());
        table.push('\n');
    }
    table
}

/// The summary that is kept in the repository: family, verdict, and how many tokens of it get that verdict.
#[must_use]
pub fn summary() -> String {
    let keys = verifying_keys();
    let mut counts: Vec<((&str, Verdict), usize)> = Vec::new();
    for token in all() {
        let row = (token.family, token.verdict(&keys));
        match counts.iter_mut().find(|(known, _)| *known == row) {
            Some((_, count)) => *count += 1,
            None => counts.push((row, 1)),
        }
    }
    let mut summary = "family\tverdict\ttokens\n".to_owned();
    for ((family, verdict), count) in counts {
        summary.push_str(&format!("{family}\t{verdict}\t{count}\n"));
    }
    summary
}

/// The keys as they are published at [`START`] and then every token, each a line of JSON, for other libraries to judge.
#[must_use]
pub fn lines() -> String {
    let keys = verifying_keys();
    let published = keys.document(START);
    let mut lines = format!("{}\n", serde_json::to_string(&published).unwrap());
    for token in all() {
        let line = json!({
            "family": token.family,
            "name": token.name,
            "token": token.text,
            "now": token.now.as_millis(),
            "dynamicKeys": token.dynamic_keys,
            "accepted": token.verdict(&keys) == Verdict::Accepted,
        });
        lines.push_str(&format!("{line}\n"));
    }
    lines
}
