//! Which key a request proves by its DPoP proof (RFC 9449).

use http::{HeaderMap, Request};

use super::Endpoint;
use super::names::DPOP_HEADER;
use crate::config::SessionConfig;
use crate::model::{DeviceKey, Timestamp};
use crate::token::dpop::{self, Demand, ProofError, Target};

/// The key that a request for a route of the application proves; `None` without a proof.
///
/// The address is that of the API's domain and of the request's path, with or without what a gateway leaves
/// out of it: whatever a proxy makes of `Host`, the client wrote one of these.
///
/// # Errors
///
/// Why the proof does not count.
pub(super) fn proved<B>(
    config: &SessionConfig,
    request: &Request<B>,
    access_token: Option<&str>,
    now: Timestamp,
) -> Result<Option<DeviceKey>, ProofError> {
    let path = request.uri().path();
    let with_front = format!("{}{path}", config.api.gateway_path);
    let method = request.method().as_str();
    proved_at(config, request.headers(), method, &[path, &with_front], access_token, now)
}

/// The key that a refresh proves; `None` without a proof.
///
/// # Errors
///
/// Why the proof does not count.
pub(super) fn proved_by_refresh(
    config: &SessionConfig,
    headers: &HeaderMap,
    now: Timestamp,
) -> Result<Option<DeviceKey>, ProofError> {
    let path = Endpoint::Refresh.path_in(config);
    proved_at(config, headers, Endpoint::Refresh.method().as_str(), &[&path], None, now)
}

fn proved_at(
    config: &SessionConfig,
    headers: &HeaderMap,
    method: &str,
    paths: &[&str],
    access_token: Option<&str>,
    now: Timestamp,
) -> Result<Option<DeviceKey>, ProofError> {
    let mut proofs = headers.get_all(DPOP_HEADER).iter();
    let Some(proof) = proofs.next() else {
        return Ok(None);
    };
    // One, and nothing else (§4.3, item 1).
    let proof = proof.to_str().ok().filter(|_| proofs.next().is_none());
    let proof = proof.ok_or(ProofError::Malformed)?;
    let origin = config.api.domain.to_string();
    let targets: Vec<_> = paths.iter().filter_map(|path| Target::new(&origin, path)).collect();
    let demand = Demand { method, targets: &targets, access_token, nonce: None };
    dpop::verify(proof, &demand, now).map(Some)
}
