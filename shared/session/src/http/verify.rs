//! Which access token counts, and whether it holds (contract §2.3, §4.2).

use std::borrow::Cow;

use http::Request;

use super::extract::{Cookies, Scheme, credentials};
use super::names::ACCESS_COOKIE;
use super::{AntiCsrfCheck, TransferMethod, anti_csrf, dpop};
use crate::config::{AllowedMethod, DeviceBinding};
use crate::error::{SessionError, TryRefresh};
use crate::model::Timestamp;
use crate::service::verify::check_anti_csrf;
use crate::service::{AntiCsrfProof, SessionEvent, Sessions};
use crate::store::PublicKeyReader;
use crate::token::{AccessToken, UnverifiedAccessToken};

/// What a route asks of its caller.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct VerifyOptions {
    /// Whether a request without any token is refused. A stale token is refused in any case.
    pub session_required: bool,
    /// When requests with cookies need an anti-CSRF proof.
    pub anti_csrf_check: AntiCsrfCheck,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self { session_required: true, anti_csrf_check: AntiCsrfCheck::Auto }
    }
}

/// A request whose access token holds.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The token.
    pub token: AccessToken,
    /// How it came.
    pub method: TransferMethod,
}

/// Verifies the access token of a request; `None` if there is none and none is required.
///
/// A header token beats cookies. A text that is not one of our tokens is as good as absent, and so is a
/// cookie that does not hold beside one that does. No I/O once the keys are loaded.
///
/// # Errors
///
/// [`SessionError::NoToken`], [`SessionError::TryRefresh`], or a fault; nothing is ever cleared.
pub async fn verify<S: PublicKeyReader, B: Sync>(
    sessions: &Sessions<S>,
    request: &Request<B>,
    options: VerifyOptions,
    now: Timestamp,
) -> Result<Option<Verified>, SessionError> {
    Ok(presented(sessions, request, options, now).await?.map(|(_, verified)| verified))
}

/// As [`verify`], with the text of the token.
pub(super) async fn presented<'r, S: PublicKeyReader, B: Sync>(
    sessions: &Sessions<S>,
    request: &'r Request<B>,
    options: VerifyOptions,
    now: Timestamp,
) -> Result<Option<(Cow<'r, str>, Verified)>, SessionError> {
    let config = sessions.config();
    let headers = request.headers();
    let allowed = config.transfer.method;
    if allowed != AllowedMethod::Cookie
        && let Some((scheme, text)) = credentials(headers)
        && let Some(token) = UnverifiedAccessToken::parse(text)
    {
        let (token, method) = (sessions.verify(token, now).await?, TransferMethod::Header);
        check_proof(sessions, request, &token, (scheme, text), now).await?;
        return Ok(Some((Cow::Borrowed(text), Verified { token, method })));
    }
    let texts = match allowed {
        AllowedMethod::Any | AllowedMethod::Cookie => Cookies::of(headers).all(ACCESS_COOKIE),
        AllowedMethod::Header => Vec::new(),
    };
    let tokens = texts.iter().filter_map(|text| Some((text, UnverifiedAccessToken::parse(text)?)));
    let tokens: Vec<_> = tokens.collect();
    if tokens.is_empty() {
        return if options.session_required { Err(SessionError::NoToken) } else { Ok(None) };
    }

    let proof = if options.anti_csrf_check.applies_to(request.method()) {
        anti_csrf::proof(config, headers, TransferMethod::Cookie)
            .ok_or(SessionError::TryRefresh(TryRefresh::AntiCsrf))?
    } else {
        AntiCsrfProof::NotUsed
    };
    // What does not hold is as good as absent if something else does: a neighbour below the same domain
    // can add a cookie of this name and take none away. Of one session the newest token counts, of several
    // the cookie that the browser has had longest, which it lists first (RFC 6265 §5.4).
    let mut found: Option<(&Cow<'_, str>, AccessToken)> = None;
    let mut refusal = SessionError::NoToken;
    for (text, token) in tokens {
        let checked = async {
            let token = sessions.verify(token, now).await?;
            check_anti_csrf(&token, proof)?;
            // In a cookie there is no proof, and whoever steals a token can put it there.
            check_proof(sessions, request, &token, (Scheme::Bearer, text), now).await?;
            Ok(token)
        };
        match checked.await {
            Ok(token) => {
                if found.as_ref().is_none_or(|(_, known)| token.is_newer_than(known)) {
                    found = Some((text, token));
                }
            }
            Err(error @ SessionError::TryRefresh(_)) => refusal = error,
            Err(fault) => return Err(fault),
        }
    }
    let (text, token) = found.ok_or(refusal)?;
    Ok(Some((text.clone(), Verified { token, method: TransferMethod::Cookie })))
}

/// Whether whoever sends the token has proved the key that it is bound to (RFC 9449 §7): such a token as
/// `Bearer` is refused, and so is one that is bound to no key as `DPoP`.
async fn check_proof<S, B>(
    sessions: &Sessions<S>,
    request: &Request<B>,
    token: &AccessToken,
    (scheme, text): (Scheme, &str),
    now: Timestamp,
) -> Result<(), SessionError> {
    let config = sessions.config();
    let lack = match (token.proof_key(), scheme) {
        _ if !config.device_binding.is_on() => None,
        (None, Scheme::Bearer) => None,
        (Some(_), Scheme::Bearer) | (None, Scheme::Dpop) => Some(TryRefresh::WrongScheme),
        (Some(jkt), Scheme::Dpop) => match dpop::proved(config, request, Some(text), None, now) {
            Ok(Some(key)) if key.jkt() == jkt => None,
            Ok(_) => Some(TryRefresh::NoProof),
            Err(error) => Some(TryRefresh::Proof(error)),
        },
    };
    let Some(lack) = lack else { return Ok(()) };
    let is_served = config.device_binding == DeviceBinding::Report;
    let subject = &token.claims.subject;
    sessions
        .tell(|| SessionEvent::TokenProofMissing {
            handle: token.handle(),
            user_id: subject.user_id.clone(),
            tenant_id: subject.tenant_id.clone(),
            why: lack.clone(),
            is_served,
        })
        .await;
    if is_served { Ok(()) } else { Err(SessionError::TryRefresh(lack)) }
}
