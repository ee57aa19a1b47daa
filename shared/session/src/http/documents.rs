//! The documents that anybody may read: key set and discovery (contract §3.4, §3.5).

use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::Endpoint;
use super::respond::{NO_STORE, Response, error_response};
use crate::model::Timestamp;
use crate::service::Sessions;
use crate::store::PublicKeyReader;

/// `GET {base}/jwt/jwks.json`: every key that is believed now, to be cached for as long as the lives
/// of the keys allow.
pub async fn jwks<S: PublicKeyReader>(sessions: &Sessions<S>, now: Timestamp) -> Response {
    let keys = match sessions.published_keys(now).await {
        Ok(keys) => keys,
        // A fault clears nothing, so it does not matter who asks.
        Err(error) => return error_response(sessions.config(), &HeaderMap::new(), &error),
    };
    let (document, caching) = match keys {
        Some(keys) => {
            let caching = format!("max-age={}, must-revalidate", keys.caching(now).as_secs());
            let document = serde_json::to_value(keys.document(now)).unwrap_or_default();
            (document, HeaderValue::try_from(caching).unwrap_or(NO_STORE))
        }
        // It must not outlive the first key.
        None => (json!({ "keys": [] }), NO_STORE),
    };
    let mut response = public(&document);
    response.headers_mut().insert(header::CACHE_CONTROL, caching);
    response
}

/// `GET {base}/.well-known/openid-configuration`: what exists, without an `OAuth` provider.
#[must_use]
pub fn discovery<S>(sessions: &Sessions<S>) -> Response {
    let config = sessions.config();
    let issuer = config.api.issuer();
    public(&json!({
        "issuer": issuer,
        "jwks_uri": format!("{issuer}{}", Endpoint::Jwks.path()),
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [config.keys.algorithm.name()],
        "response_types_supported": ["id_token"],
    }))
}

fn public(document: &Value) -> Response {
    let mut response = super::json(StatusCode::OK, document);
    let any = HeaderValue::from_static("*");
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, any);
    response
}
