//! Which key a request proves by its DPoP proof (RFC 9449).

use http::{HeaderMap, Request};

use super::Endpoint;
use super::names::DPOP_HEADER;
use crate::config::{DeviceBinding, SessionConfig};
use crate::model::{DeviceKey, Timestamp};
use crate::token::MasterKeys;
use crate::token::dpop::{self, Demand, ProofError, Target};

opaque!(Nonces);

/// The nonces of a request that brings a proof, where the settings ask for them (RFC 9449 §8).
pub(super) struct Nonces {
    keys: MasterKeys,
    is_demanded: bool,
    /// The one to give.
    pub(super) next: String,
}

impl Nonces {
    /// Whether there are any for that request.
    pub(super) fn are_asked_for(config: &SessionConfig, headers: &HeaderMap) -> bool {
        config.dpop_nonce && headers.contains_key(DPOP_HEADER)
    }

    /// Those of now, under keys that know of them all.
    pub(super) fn of(config: &SessionConfig, keys: MasterKeys, now: Timestamp) -> Self {
        let is_demanded = config.device_binding == DeviceBinding::Require;
        Self { is_demanded, next: keys.dpop_nonce(now), keys }
    }

    fn demanded(&self) -> Option<&MasterKeys> {
        self.is_demanded.then_some(&self.keys)
    }
}

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
    nonces: Option<&Nonces>,
    now: Timestamp,
) -> Result<Option<DeviceKey>, ProofError> {
    let path = request.uri().path();
    let with_front = format!("{}{path}", config.api.gateway_path);
    let method = request.method().as_str();
    proved_at(config, request.headers(), method, &[path, &with_front], access_token, nonces, now)
}

/// The key that a refresh proves; `None` without a proof.
///
/// # Errors
///
/// Why the proof does not count.
pub(super) fn proved_by_refresh(
    config: &SessionConfig,
    headers: &HeaderMap,
    nonces: Option<&Nonces>,
    now: Timestamp,
) -> Result<Option<DeviceKey>, ProofError> {
    let path = Endpoint::Refresh.path_in(config);
    proved_at(config, headers, Endpoint::Refresh.method().as_str(), &[&path], None, nonces, now)
}

fn proved_at(
    config: &SessionConfig,
    headers: &HeaderMap,
    method: &str,
    paths: &[&str],
    access_token: Option<&str>,
    nonces: Option<&Nonces>,
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
    let nonce = nonces.and_then(Nonces::demanded);
    let demand = Demand { method, targets: &targets, access_token, nonce };
    dpop::verify(proof, &demand, now).map(Some)
}
