//! Attaching a new session to the application's own sign-in response (contract §2.2).

use http::{HeaderMap, Request};
use rand_core::CryptoRng;

use super::anti_csrf::is_proved;
use super::dpop::Nonces;
use super::extract::{Cookies, auth_mode, bearer};
use super::names::ACCESS_COOKIE;
use super::{TokenHeaders, TransferMethod, dpop};
use crate::config::{AllowedMethod, AntiCsrf};
use crate::error::SessionError;
use crate::model::{Device, Keeper, NewSession, Timestamp};
use crate::service::{IssuedTokens, Sessions};
use crate::store::SignInStore;
use crate::token::dpop::ProofError;

/// A new session's tokens, and the headers and cookies that bring them to the client.
#[derive(Clone, Debug)]
pub struct Created<'s> {
    /// The tokens.
    pub tokens: IssuedTokens,
    /// How the client gets them.
    pub method: TransferMethod,
    headers: TokenHeaders<'s>,
}

impl Created<'_> {
    /// Writes headers and cookies to a response ([`TokenHeaders::apply`]).
    pub fn apply(self, headers: &mut HeaderMap) {
        self.headers.apply(headers);
    }
}

/// Creates a session for the client that sent `request`; apply the result to the response.
///
/// The method is the configured one, else what `st-auth-mode` asks for, else headers. Tokens of the
/// other method that the request carried are cleared; cookies only if the request shows that no foreign
/// page sent it. With [`DeviceBinding`](crate::config::DeviceBinding), header tokens are bound to the key of
/// the request's DPoP proof, if it has one (RFC 9449 §5).
///
/// # Errors
///
/// As [`Sessions::create`]; also [`SessionError::UseDpopNonce`] if only a fresh nonce is lacking in the proof,
/// [`SessionError::InvalidInput`] if the proof does not count, or if cookies are to go without the anti-CSRF token
/// that the website's mode demands, and [`SessionError::Internal`] if cookies are asked for that browsers would
/// refuse. Nothing is recorded then.
pub async fn create<'s, S: SignInStore, B: Sync>(
    sessions: &'s Sessions<S>,
    request: &Request<B>,
    new: NewSession,
    device: Device,
    now: Timestamp,
    rng: &mut (impl CryptoRng + Send),
) -> Result<Created<'s>, SessionError> {
    let config = sessions.config();
    let headers = request.headers();
    let method = match config.transfer.method {
        AllowedMethod::Any => auth_mode(headers).unwrap_or(TransferMethod::Header),
        AllowedMethod::Cookie => TransferMethod::Cookie,
        AllowedMethod::Header => TransferMethod::Header,
    };
    let is_cookie = method == TransferMethod::Cookie;
    let website = config.websites.of(headers);
    if is_cookie && config.is_insecure_cross_site(website) {
        return Err(SessionError::Internal(
            "cookies would be SameSite=None without Secure, which browsers refuse: serve the API by \
             https, or use header tokens"
                .into(),
        ));
    }
    let is_demanded = website.anti_csrf == AntiCsrf::ViaToken;
    if is_cookie && is_demanded && new.anti_csrf == Some(false) {
        return Err(SessionError::invalid_input(
            "the website's anti-CSRF mode is VIA_TOKEN: a session without an anti-CSRF token could do \
             nothing there",
        ));
    }
    let with_anti_csrf = is_cookie && new.anti_csrf.unwrap_or(is_demanded);
    let keeper = if is_cookie { Keeper::Browser } else { Keeper::Script };
    let mut nonces = None;
    if !is_cookie && Nonces::are_asked_for(config, headers) {
        let keys = sessions.ensure_keys(now, rng).await?;
        nonces = Some(Nonces::of(config, keys.master(now)?, now));
    }
    let device_key = if !is_cookie && config.device_binding.is_on() {
        let proved = dpop::proved(config, request, None, nonces.as_ref(), now);
        proved.map_err(|error| match (error, &nonces) {
            (ProofError::NoFreshNonce, Some(nonces)) => {
                SessionError::UseDpopNonce(nonces.next.clone())
            }
            (error, _) => SessionError::invalid_input(error.to_string()),
        })?
    } else {
        None
    };
    let new = NewSession { keeper, device_key: device_key.or(new.device_key), ..new };
    let tokens = sessions.create(new, device, with_anti_csrf, now, rng).await?;

    let mut out = TokenHeaders::new(config, headers);
    match method {
        TransferMethod::Cookie if bearer(headers).is_some() => out.clear(TransferMethod::Header),
        TransferMethod::Header
            if Cookies::of(headers).has(ACCESS_COOKIE) && is_proved(config, headers) =>
        {
            out.clear(TransferMethod::Cookie);
        }
        TransferMethod::Cookie | TransferMethod::Header => {}
    }
    out.attach(method, &tokens, now);
    if let Some(nonces) = nonces {
        out.give_dpop_nonce(&nonces.next);
    }
    if is_cookie && let Some(challenge) = &tokens.device_challenge {
        out.ask_for_device_key(challenge);
    }
    Ok(Created { tokens, method, headers: out })
}
