//! JWTs that are no sessions, and the keys that verify all of them.

use std::time::Duration;

use lambda_http::Response;
use serde_json::{Value, json};
use session::service::NewJwt;
use session::store::{PrivateKeyReader, PublicKeyReader};

use crate::answer::{Answered, Refusal, ok};
use crate::call::Call;
use crate::input::{Input, whole};

/// `POST /recipe/jwt`: signs claims.
pub(crate) async fn create<S: PrivateKeyReader>(call: &Call<'_, S>) -> Answered {
    let input = Input::of(call.request)?;
    let algorithm = input.required("algorithm", Value::as_str)?;
    let domain = input.required("jwksDomain", Value::as_str)?;
    let mut payload = input.required("payload", Value::as_object)?.clone();
    let validity = input.required("validity", whole)?;
    let is_static = input.optional("useStaticSigningKey", Value::as_bool)?.unwrap_or(true);
    let validity = u64::try_from(validity)
        .ok()
        .filter(|seconds| *seconds > 0)
        .ok_or_else(|| Refusal::bad("validity must be greater than or equal to 0"))?;
    if !algorithm.eq_ignore_ascii_case(call.sessions.config().keys.algorithm.name()) {
        return Ok(ok(json!({ "status": "UNSUPPORTED_ALGORITHM_ERROR" })));
    }
    payload.entry("iss").or_insert_with(|| domain.into());
    let validity = Duration::from_secs(validity);
    let new = NewJwt { payload, validity, use_dynamic_key: !is_static };
    let jwt = call.sessions.create_jwt(new, call.now).await?;
    Ok(ok(json!({ "status": "OK", "jwt": jwt })))
}

/// `GET /.well-known/jwks.json`: every key that is believed, to be cached for as long as it says.
pub(crate) async fn public_key_set<S: PublicKeyReader>(call: &Call<'_, S>) -> Response<String> {
    session::http::jwks(call.sessions, call.now).await
}

/// `GET /recipe/jwt/jwks`: the same with a status, for older SDKs.
pub(crate) async fn key_set<S: PublicKeyReader>(call: &Call<'_, S>) -> Answered {
    let keys = call.sessions.published_keys(call.now).await?;
    let keys = keys.map(|keys| keys.document(call.now).keys).unwrap_or_default();
    Ok(ok(json!({ "status": "OK", "keys": keys })))
}
