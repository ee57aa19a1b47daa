//! One attempt to sign in: a secret that only the browser holds which began it.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::InvalidHeaderValue;
use http::{HeaderMap, HeaderValue, header};
use rand_core::CryptoRng;
use session::config::SameSite;

/// The prefix keeps pages of sibling domains from planting an attempt of theirs (RFC 6265bis §4.1.3.2).
const COOKIE: &str = "__Host-signin";

/// How long the user may take, in seconds.
const MAX_AGE: u32 = 600;

/// The secret, from which all that the provider is told is derived. Cannot be printed.
pub struct Attempt(String);

impl Attempt {
    /// A new one.
    pub fn new(rng: &mut impl CryptoRng) -> Self {
        let mut secret = [0; 32];
        rng.fill_bytes(&mut secret);
        Self(URL_SAFE_NO_PAD.encode(secret))
    }

    /// The one that the browser began, if it did.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
        let mut cookies = lines.flat_map(|line| line.split(';'));
        let secret = cookies.find_map(|cookie| {
            let (name, secret) = cookie.trim().split_once('=')?;
            (name == COOKIE).then_some(secret)
        })?;
        (secret.len() == 43).then(|| Self(secret.to_owned()))
    }

    /// What keeps it in the browser.
    ///
    /// # Errors
    ///
    /// None in practice: all of it is visible ASCII.
    pub fn cookie(&self, same_site: SameSite) -> Result<HeaderValue, InvalidHeaderValue> {
        let (secret, same_site) = (&self.0, same_site.as_str());
        let line = format!(
            "{COOKIE}={secret}; Path=/; Max-Age={MAX_AGE}; HttpOnly; Secure; SameSite={same_site}"
        );
        HeaderValue::from_str(&line)
    }

    /// What takes it away: it serves once.
    #[must_use]
    pub fn over() -> HeaderValue {
        HeaderValue::from_static("__Host-signin=; Path=/; Max-Age=0; HttpOnly; Secure")
    }

    /// `state`: comes back with the browser (RFC 6749 §10.12).
    #[must_use]
    pub fn state(&self) -> String {
        self.derived("state")
    }

    /// Whether `state` is that of this attempt.
    #[must_use]
    pub fn is_state(&self, state: &str) -> bool {
        verify_slices_are_equal(state.as_bytes(), self.state().as_bytes()).is_ok()
    }

    /// `nonce`: comes back in the ID token (OpenID Connect Core 1.0 §3.1.2.1).
    #[must_use]
    pub fn nonce(&self) -> String {
        self.derived("nonce")
    }

    /// `code_verifier`: shows at the exchange that the code was asked for here (RFC 7636 §4.1).
    #[must_use]
    pub fn code_verifier(&self) -> String {
        self.derived("code_verifier")
    }

    /// `code_challenge`, method `S256` (RFC 7636 §4.2).
    #[must_use]
    pub fn code_challenge(&self) -> String {
        encoded_hash(&self.code_verifier())
    }

    fn derived(&self, purpose: &str) -> String {
        encoded_hash(&format!("{purpose}\0{}", self.0))
    }
}

fn encoded_hash(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()))
}
