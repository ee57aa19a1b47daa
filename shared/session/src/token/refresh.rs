//! Refresh tokens: opaque to clients, derived and therefore reproducible for us.
//!
//! ```text
//! version and flags 1 ‖ master key 1 ‖ user partition 12 ‖ session 16 ‖ generation 4 ‖ MAC 32
//! ```
//!
//! in base64url without padding: 88 characters that no cookie or header needs to encode. The MAC is
//! HMAC-SHA-256 under HKDF-SHA-256(master key, application, session handle). Nothing that equals a token is ever
//! stored, the same generation always gives the same bytes (once with and once without an anti-CSRF
//! token), and a forged token is refused without
//! touching the table.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hkdf::{HKDF_SHA256, Prk, Salt};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::model::{Generation, SessionHandle};

/// The only layout so far, in the upper four bits of the first byte.
const VERSION: u8 = 1;

/// Set when the token was minted together with an anti-CSRF token (contract §4.5).
const FLAG_ANTI_CSRF: u8 = 0b0001;

const HEAD_LEN: usize = 2 + SessionHandle::LEN + 4;
const MAC_LEN: usize = 32;
const TOKEN_LEN: usize = HEAD_LEN + MAC_LEN;

/// Characters of every refresh token.
pub const TEXT_LEN: usize = TOKEN_LEN / 3 * 4;

/// Separates this use of the master key from any other; the application's id follows.
const HKDF_SALT: &[u8] = b"sesam refresh token v1 of ";
/// Domain of the anti-CSRF derivation under the session's key.
const ANTI_CSRF_LABEL: &[u8] = b"anti-csrf";

/// A secret that refresh tokens are derived from.
#[derive(Clone)]
pub struct MasterKey {
    id: u8,
    extracted: Prk,
}

impl MasterKey {
    /// Bytes of a master secret.
    pub const SECRET_LEN: usize = 32;

    /// `id` is carried in the clear by each token, so that several secrets can be accepted. The same
    /// secret gives other tokens in another application.
    #[must_use]
    pub fn new(id: u8, app_id: &str, secret: &[u8; Self::SECRET_LEN]) -> Self {
        let salt = [HKDF_SALT, app_id.as_bytes()].concat();
        Self { id, extracted: Salt::new(HKDF_SHA256, &salt).extract(secret) }
    }

    /// The number that tokens carry.
    #[must_use]
    pub const fn id(&self) -> u8 {
        self.id
    }

    /// The key of one session.
    pub(super) fn session_key(&self, handle: &SessionHandle) -> hmac::Key {
        self.key_for(handle.as_bytes())
    }

    /// The key of one purpose: a session, whose handle has [`SessionHandle::LEN`] bytes, or something with a
    /// name of another length.
    pub(super) fn key_for(&self, purpose: &[u8]) -> hmac::Key {
        let mut bytes = Zeroizing::new([0; 32]);
        let info = [purpose];
        // 32 bytes are within what HKDF-SHA-256 can expand to, so neither step can fail.
        if let Ok(okm) = self.extracted.expand(&info, hmac::HMAC_SHA256) {
            let _ = okm.fill(bytes.as_mut_slice());
        }
        hmac::Key::new(hmac::HMAC_SHA256, bytes.as_slice())
    }

    fn mint(
        &self,
        handle: &SessionHandle,
        generation: Generation,
        with_anti_csrf: bool,
    ) -> RefreshToken {
        let flags = if with_anti_csrf { FLAG_ANTI_CSRF } else { 0 };
        let mut bytes = Vec::with_capacity(TOKEN_LEN);
        bytes.push(VERSION << 4 | flags);
        bytes.push(self.id);
        bytes.extend_from_slice(handle.as_bytes());
        bytes.extend_from_slice(&generation.number().to_be_bytes());
        let mac = hmac::sign(&self.session_key(handle), &bytes);
        bytes.extend_from_slice(mac.as_ref());
        RefreshToken(Zeroizing::new(URL_SAFE_NO_PAD.encode(&bytes)))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The master keys in use: the first mints, all are accepted.
#[derive(Clone, Debug)]
pub struct MasterKeys {
    pub(super) minting: MasterKey,
    accepted: Vec<MasterKey>,
}

impl MasterKeys {
    /// `minting` mints and is accepted; `accepted` are older ones whose tokens are still out.
    #[must_use]
    pub const fn new(minting: MasterKey, accepted: Vec<MasterKey>) -> Self {
        Self { minting, accepted }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &MasterKey> {
        std::iter::once(&self.minting).chain(&self.accepted)
    }

    /// The refresh token of one generation; always the same bytes under the same master key.
    #[must_use]
    pub fn mint(
        &self,
        handle: &SessionHandle,
        generation: Generation,
        with_anti_csrf: bool,
    ) -> RefreshToken {
        self.minting.mint(handle, generation, with_anti_csrf)
    }

    /// Whether `hash` is that of the refresh token of this generation, under any master key.
    #[must_use]
    pub fn is_hash_of(
        &self,
        hash: &str,
        handle: &SessionHandle,
        generation: Generation,
        with_anti_csrf: bool,
    ) -> bool {
        self.all().any(|key| key.mint(handle, generation, with_anti_csrf).hash() == hash)
    }

    /// The anti-CSRF token of one generation, in the form of a UUID (contract §4.5).
    ///
    /// Derived like the refresh token, so that a repeated answer repeats it and nothing is stored. It
    /// names its generation, so that it can be told for itself.
    #[must_use]
    pub fn anti_csrf_token(&self, handle: &SessionHandle, generation: Generation) -> String {
        anti_csrf_token(&self.minting, handle, generation)
    }

    /// Whether `text` is the anti-CSRF token of any generation of that session.
    ///
    /// Cookies are stored by the browser and anti-CSRF tokens by scripts: a page that is closed in
    /// between, or stands still, leaves a token of another generation than the cookie's. Who forges a
    /// request knows none of them.
    #[must_use]
    pub fn is_anti_csrf_token(&self, text: &str, handle: &SessionHandle) -> bool {
        let generation = text.get(..8).and_then(|hex| u32::from_str_radix(hex, 16).ok());
        generation.and_then(Generation::new).is_some_and(|generation| {
            self.all().any(|key| is_equal(text, &anti_csrf_token(key, handle, generation)))
        })
    }
}

fn anti_csrf_token(master: &MasterKey, handle: &SessionHandle, generation: Generation) -> String {
    let number = generation.number().to_be_bytes();
    let mut context = hmac::Context::with_key(&master.session_key(handle));
    context.update(ANTI_CSRF_LABEL);
    context.update(&number);
    let tag = context.sign();
    let mut bytes = [0_u8; 16];
    for (to, from) in bytes.iter_mut().zip(number.iter().chain(tag.as_ref())) {
        *to = *from;
    }
    // Version 4, variant 1 (RFC 9562 §5.4): clients see the form they know.
    let number = u128::from_be_bytes(bytes) & !(0xf << 76 | 0x3 << 62) | (4 << 76 | 2 << 62);
    let hex = format!("{number:032x}");
    let part = |range| hex.get(range).unwrap_or_default();
    [part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-")
}

/// Compares secrets in a time that does not depend on where they differ.
#[must_use]
pub fn is_equal(presented: &str, expected: &str) -> bool {
    verify_slices_are_equal(presented.as_bytes(), expected.as_bytes()).is_ok()
}

opaque!(RefreshClaims, RefreshToken, UnverifiedRefreshToken);

/// A refresh token: a secret that cannot be printed.
#[derive(Clone, Eq, PartialEq)]
pub struct RefreshToken(Zeroizing<String>);

impl RefreshToken {
    /// The token's text, for the one place that writes it to the client.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Lower-case hex SHA-256 of the text: `refreshTokenHash1` of the access token (contract §5.7).
    #[must_use]
    pub fn hash(&self) -> String {
        let digest = digest(&SHA256, self.0.as_bytes());
        let digits = digest.as_ref().iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
        let mut hex = String::with_capacity(64);
        hex.extend(digits.filter_map(|digit| char::from_digit(digit.into(), 16)));
        hex
    }
}

/// A refresh token of our form whose authenticity is not known yet.
pub struct UnverifiedRefreshToken {
    bytes: [u8; TOKEN_LEN],
}

/// What an authentic refresh token says.
#[derive(Clone, Eq, PartialEq)]
pub struct RefreshClaims {
    /// The session it belongs to.
    pub handle: SessionHandle,
    /// Its position in the session.
    pub generation: Generation,
    /// Whether an anti-CSRF token was minted with it.
    pub with_anti_csrf: bool,
}

impl UnverifiedRefreshToken {
    /// Whether the text has the form of our refresh tokens: length, alphabet, version.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != TEXT_LEN {
            return None;
        }
        let bytes: [u8; TOKEN_LEN] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        (bytes.first()? >> 4 == VERSION).then_some(Self { bytes })
    }

    /// The number of the master key that it claims to be minted under.
    #[must_use]
    pub fn unverified_master_key_id(&self) -> u8 {
        let [_, id, ..] = self.bytes;
        id
    }

    /// The claims, if the MAC holds under one of the master keys; compared in constant time.
    #[must_use]
    pub fn verify(&self, keys: &MasterKeys) -> Option<RefreshClaims> {
        let (head, mac) = self.bytes.split_at_checked(HEAD_LEN)?;
        let (&[first, key_id], rest) = head.split_first_chunk::<2>()?;
        let (handle, rest) = rest.split_first_chunk::<{ SessionHandle::LEN }>()?;
        let (generation, _) = rest.split_first_chunk::<4>()?;
        let handle = SessionHandle::from_bytes(*handle);
        let master = keys.all().find(|key| key.id == key_id)?;
        hmac::verify(&master.session_key(&handle), head, mac).ok()?;
        let generation = Generation::new(u32::from_be_bytes(*generation))?;
        let with_anti_csrf = first & FLAG_ANTI_CSRF != 0;
        Some(RefreshClaims { handle, generation, with_anti_csrf })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::UserId;

    fn keys(minting: u8, accepted: &[u8]) -> MasterKeys {
        let key = |id: u8| MasterKey::new(id, "app", &[id; 32]);
        MasterKeys::new(key(minting), accepted.iter().map(|id| key(*id)).collect())
    }

    fn handle() -> SessionHandle {
        SessionHandle::random(&UserId::new("user-1"), &mut rand::rng())
    }

    fn verify(text: &str, keys: &MasterKeys) -> Option<RefreshClaims> {
        UnverifiedRefreshToken::parse(text)?.verify(keys)
    }

    #[test]
    fn a_token_has_88_characters_and_the_same_generation_the_same_bytes() {
        let (keys, handle) = (keys(1, &[]), handle());
        let token = keys.mint(&handle, Generation::FIRST, true);
        assert_eq!(token.expose().len(), 88);
        assert_eq!(token, keys.mint(&handle, Generation::FIRST, true));
        assert_ne!(token, keys.mint(&handle, Generation::FIRST.next(), true));
    }

    #[test]
    fn a_token_of_an_older_master_key_is_accepted_and_one_of_a_removed_key_is_not() {
        let handle = handle();
        let token = keys(1, &[]).mint(&handle, Generation::FIRST, false);
        assert!(verify(token.expose(), &keys(2, &[1])).is_some());
        assert!(verify(token.expose(), &keys(2, &[])).is_none());
    }

    #[test]
    fn the_anti_csrf_token_is_a_uuid_and_survives_a_change_of_master_key() {
        let handle = handle();
        let minted = keys(1, &[]).anti_csrf_token(&handle, Generation::FIRST);
        assert!(keys(2, &[1]).is_anti_csrf_token(&minted, &handle));
        assert!(!keys(2, &[]).is_anti_csrf_token(&minted, &handle));
        assert_eq!(minted.len(), 36);
        assert_eq!(&minted[14..15], "4");
    }

    #[test]
    fn an_anti_csrf_token_is_of_one_session_and_of_the_generation_that_it_names() {
        let (keys, handle, other) = (keys(1, &[]), handle(), handle());
        for number in [1, 2, u32::MAX] {
            let token = keys.anti_csrf_token(&handle, Generation::new(number).unwrap());
            assert!(keys.is_anti_csrf_token(&token, &handle));
            assert!(!keys.is_anti_csrf_token(&token, &other));
            let renamed = token.replacen(&format!("{number:08x}"), "00000003", 1);
            assert!(!keys.is_anti_csrf_token(&renamed, &handle));
        }
        for nonsense in ["", "0", "00000000-0000-4000-8000-000000000000", "+0000001", "é"] {
            assert!(!keys.is_anti_csrf_token(nonsense, &handle), "{nonsense}");
        }
    }

    #[test]
    fn debug_output_holds_no_token() {
        let token = keys(1, &[]).mint(&handle(), Generation::FIRST, false);
        assert!(!format!("{token:?}").contains(token.expose()));
    }

    proptest! {
        #[test]
        fn what_is_minted_verifies_to_what_went_in(number in 1_u32.., with_anti_csrf: bool) {
            let (keys, handle) = (keys(1, &[]), handle());
            let generation = Generation::new(number).unwrap();
            let claims = verify(keys.mint(&handle, generation, with_anti_csrf).expose(), &keys);
            let claims = claims.unwrap();
            prop_assert_eq!(claims.handle, handle);
            prop_assert_eq!(claims.generation, generation);
            prop_assert_eq!(claims.with_anti_csrf, with_anti_csrf);
        }

        #[test]
        fn no_changed_character_verifies(at in 0..TEXT_LEN, with in "[A-Za-z0-9_-]") {
            let keys = keys(1, &[]);
            let text = keys.mint(&handle(), Generation::FIRST, false).expose().to_owned();
            let mut changed = text.clone();
            changed.replace_range(at..=at, &with);
            prop_assume!(changed != text);
            prop_assert!(verify(&changed, &keys).is_none());
        }

        #[test]
        fn arbitrary_text_never_panics_and_never_verifies(text in "\\PC{0,120}") {
            prop_assert!(verify(&text, &keys(1, &[])).is_none());
        }
    }
}
