//! `sesam token`: why an access token is refused, by the rules of SECURITY.md. Never prints the token.

use std::fs;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::{Value, json};
use session::config::boolean;
use session::token::{
    AccessToken, NotOurs, PinnedKeys, TokenError, UnverifiedAccessToken, UnverifiedRefreshToken,
    VerifyingKeySet,
};

use crate::terminal::{Terminal, distance, instant, printable};
use crate::{Call, Ending};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Say whether an access token is accepted now, and if not, by which rule
    Inspect {
        /// The access token; `-` reads it from the input, where no shell keeps it
        #[arg(default_value = "-", hide_default_value = true)]
        token: String,
        /// A file or an address with the published key set, instead of the table
        #[arg(long, value_name = "FILE|URL")]
        jwks: Option<String>,
    },
}

/// The rule of SECURITY.md that a token fails, and what that means.
struct Refusal {
    rule: u8,
    reason: String,
    clients: &'static str,
}

const NO_TOKEN: &str = "it counts as no token at all";
const REFRESH: &str = "clients get 401, upon which they refresh";

pub(crate) async fn run(
    call: &Call,
    command: Command,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<Ending> {
    let Command::Inspect { token, jwks } = command;
    let text = if token == "-" { read(terminal)? } else { token };
    let text = text.trim();
    let text = text.strip_prefix("Bearer ").unwrap_or(text);
    if UnverifiedRefreshToken::parse(text).is_some() {
        terminal
            .note("This is a refresh token. Only the function `refresh` can tell what it buys.")?;
    }
    let token = match UnverifiedAccessToken::read(text) {
        Ok(token) => token,
        Err(reason) => return refused(call, not_ours(reason), &Value::Null, terminal),
    };
    let keys = keys(call, jwks.as_deref()).await?;
    let key_id = printable(token.unverified_key_id().as_str());
    let expires_at = token.unverified_expires_at();
    let use_dynamic = call.deployment.setting("USE_DYNAMIC_SIGNING_KEY");
    let use_dynamic = use_dynamic.is_none_or(|text| boolean(text.trim()) != Ok(false));
    match token.verify(&keys, call.now, use_dynamic) {
        Ok(token) => accepted(call, &token, &key_id, terminal),
        Err(error) => {
            let claimed = json!({ "keyId": key_id, "expiresAt": expires_at });
            let refusal = untrue(call, &error, &keys, use_dynamic);
            refused(call, refusal, &claimed, terminal)
        }
    }
}

fn read(terminal: &mut Terminal<'_>) -> anyhow::Result<String> {
    if terminal.is_interactive {
        terminal.note("Paste the access token and press Enter:")?;
    }
    let mut line = String::new();
    terminal.input.read_line(&mut line).context("reading the token")?;
    Ok(line)
}

async fn keys(call: &Call, jwks: Option<&str>) -> anyhow::Result<Arc<VerifyingKeySet>> {
    let Some(place) = jwks else {
        let keys = call.deployment.sessions()?.published_keys(call.now).await?;
        return keys.context("the table has no keys yet: `sesam keys rotate` makes them");
    };
    let is_address = place.starts_with("https://") || place.starts_with("http://");
    let document = if is_address {
        bootstrap::get(place).await.with_context(|| format!("reading {place}"))?
    } else {
        fs::read_to_string(place).with_context(|| format!("reading {place}"))?
    };
    let keys =
        PinnedKeys::parse(&document).map_err(|problem| anyhow::anyhow!("{place}: {problem}"))?;
    Ok(keys.parsed())
}

fn not_ours(reason: NotOurs) -> Refusal {
    let rule = match reason {
        NotOurs::Length => 1,
        NotOurs::Encoding => 2,
        NotOurs::Json => 3,
        NotOurs::Header => 4,
        NotOurs::Claims => 5,
        NotOurs::Dates => 6,
    };
    Refusal { rule, reason: reason.to_string(), clients: NO_TOKEN }
}

fn untrue(call: &Call, error: &TokenError, keys: &VerifyingKeySet, use_dynamic: bool) -> Refusal {
    let when = |at| format!("{} ({})", instant(at), distance(at, call.now));
    let (rule, reason) = match error {
        TokenError::CriticalExtension => (7, error.to_string()),
        TokenError::UnknownKey => {
            let known = keys.document(call.now).keys.into_iter();
            let known: Vec<_> = known.filter_map(|key| key.common.key_id).collect();
            (8, format!("no key of that name is believed; there are {}", known.join(", ")))
        }
        TokenError::WrongAlgorithm => (8, error.to_string()),
        TokenError::BadSignature => (9, "the signature does not hold".to_owned()),
        TokenError::Expired(at) => (10, format!("expired at {}", when(*at))),
        TokenError::NotYetValid(at) => (10, format!("not valid before {}", when(*at))),
        TokenError::WrongKeyKind => {
            let kind = if use_dynamic { "dynamic" } else { "static" };
            (11, format!("only {kind} keys are accepted (USE_DYNAMIC_SIGNING_KEY)"))
        }
    };
    Refusal { rule, reason, clients: REFRESH }
}

fn accepted(
    call: &Call,
    token: &AccessToken,
    key_id: &str,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<Ending> {
    let claims = &token.claims;
    if call.json {
        terminal.json(&json!({
            "accepted": true,
            "keyId": key_id,
            "userId": claims.subject.user_id,
            "tenantId": claims.subject.tenant_id,
            "sessionHandle": claims.session_handle,
            "issuedAt": claims.issued_at,
            "expiresAt": claims.expires_at,
        }))?;
        return Ok(Ending::Done);
    }
    let at = |at| format!("{} ({})", instant(at), distance(at, call.now));
    terminal.line("accepted: all 11 rules hold")?;
    terminal.line(&format!("key      {key_id}"))?;
    terminal.line(&format!("user     {}", printable(claims.subject.user_id.as_str())))?;
    terminal.line(&format!("tenant   {}", printable(claims.subject.tenant_id.as_str())))?;
    terminal.line(&format!("session  {}", printable(&claims.session_handle)))?;
    terminal.line(&format!("issued   {}", at(claims.issued_at)))?;
    terminal.line(&format!("expires  {}", at(claims.expires_at)))?;
    terminal.note(
        "Whether the session still lives only the table knows: `sesam sessions show` and the handle.",
    )?;
    Ok(Ending::Done)
}

/// `claimed` is what the token says of itself, which nobody has confirmed.
fn refused(
    call: &Call,
    refusal: Refusal,
    claimed: &Value,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<Ending> {
    let Refusal { rule, reason, clients } = refusal;
    if call.json {
        terminal.json(&json!({
            "accepted": false, "rule": rule, "reason": reason, "claimed": claimed,
        }))?;
        return Ok(Ending::No);
    }
    terminal.line(&format!("refused by rule {rule} of 11: {reason}"))?;
    terminal.line(&format!("so {clients}"))?;
    if let Some(key_id) = claimed.get("keyId").and_then(Value::as_str) {
        terminal.line(&format!("it names the key {key_id}"))?;
    }
    terminal.note("SECURITY.md lists the rules under \"What an access token must be\".")?;
    Ok(Ending::No)
}
