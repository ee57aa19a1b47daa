//! Whether there are keys, and whether somebody looks after them.

use std::time::Duration;

use session::model::keys::{LEAD, signer};
use session::model::{KeyLife, KeyState, Timestamp};
use session::service::{KeyKind, KeyReport};
use session::store::PublicKeyReader as _;
use session::token::PublishedKey;

use super::Check;
use crate::Call;
use crate::terminal::{distance, instant};

const ROTATE: &str =
    "run `sesam keys rotate`, and look why `rotate-keys` has not: docs/operations.md";

pub(super) async fn check(call: &Call) -> Vec<Check> {
    let sessions = match call.deployment.sessions() {
        Ok(sessions) => sessions,
        Err(error) => return vec![Check::skipped("keys", format!("{error:#}"))],
    };
    let public = match sessions.store().public_keys().await {
        Ok(Some(public)) => public,
        Ok(None) => return vec![Check::problem("keys", "there are none", ROTATE)],
        Err(error) => {
            let advice = crate::deployment::advice_of(&error).unwrap_or("see docs/keys.md");
            return vec![Check::problem("keys", error.to_string(), advice)];
        }
    };
    let config = &sessions.config().keys;
    let of_kind = |dynamic: bool| {
        let keys = public.iter().filter(|key| id(key).starts_with("d-") == dynamic);
        keys.map(|key| (id(key), key.life)).collect::<Vec<_>>()
    };
    let mut checks = vec![
        line(KeyKind::Dynamic, &of_kind(true), Some(config.signing_rotation), call.now),
        line(KeyKind::Static, &of_kind(false), None, call.now),
    ];
    // Whoever looks at a deployment need not be permitted to read private keys.
    match sessions.key_report(call.now).await {
        Ok(Some(report)) => {
            let master = report.keys.iter().filter(|key| key.kind == KeyKind::Master);
            let master: Vec<_> = master.map(|key| (key.id.as_str(), key.life)).collect();
            checks.push(line(KeyKind::Master, &master, Some(config.master_rotation), call.now));
            checks.extend(disagreement(&public, &report));
        }
        Ok(None) => checks.push(Check::problem("master keys", "there are none", ROTATE)),
        Err(error) => {
            let error = anyhow::Error::new(error);
            checks.push(Check::skipped("master keys", format!("cannot be read: {error:#}")));
        }
    }
    checks
}

fn id(key: &PublishedKey) -> &str {
    key.jwk.common.key_id.as_deref().unwrap_or_default()
}

/// The keys of one kind. Without an interval only commands replace them.
fn line(
    kind: KeyKind,
    keys: &[(&str, KeyLife)],
    interval: Option<Duration>,
    now: Timestamp,
) -> Check {
    let check = match kind {
        KeyKind::Dynamic => "dynamic keys",
        KeyKind::Static => "static keys",
        KeyKind::Master => "master keys",
    };
    let Some((id, life)) = signer(keys.iter().map(|(id, life)| (life, (*id, *life))), now) else {
        return Check::problem(check, "none is there to sign", ROTATE);
    };
    let revoked = keys
        .iter()
        .filter(|(_, life)| life.revoked_at.is_some() && life.state(now) != KeyState::Removed);
    let revoked = match revoked.count() {
        0 => String::new(),
        number => format!("; {number} revoked and believed for some minutes"),
    };
    let since = format!("{id} signs since {}", instant(life.signs_from));
    if life.signs_from > now {
        let begins = distance(life.signs_from, now);
        return Check::warning(
            check,
            format!("{id} is to sign {begins}, and nothing signs before"),
            "the clocks of this machine and of `rotate-keys` differ",
        );
    }
    match (interval, life.signs_until) {
        (_, Some(until)) => Check::ok(
            check,
            format!("{since}; another takes over {}{revoked}", distance(until, now)),
        ),
        (None, None) => Check::ok(check, format!("{since}{revoked}")),
        (Some(interval), None) => {
            let due = life.signs_from.plus(interval);
            // The successor is published so long before it signs, by a schedule of an hour.
            if due.minus(LEAD).plus(Duration::from_hours(2)) < now {
                let late = format!("{since}, and its successor should be there already{revoked}");
                return Check::problem(check, late, ROTATE);
            }
            Check::ok(check, format!("{since}; next rotation {}{revoked}", distance(due, now)))
        }
    }
}

/// Both items are always written together.
fn disagreement(public: &[PublishedKey], report: &KeyReport) -> Option<Check> {
    let mut published: Vec<_> = public.iter().map(id).collect();
    let private = report.keys.iter().filter(|key| key.kind != KeyKind::Master);
    let mut private: Vec<_> = private.map(|key| key.id.as_str()).collect();
    published.sort_unstable();
    private.sort_unstable();
    (published != private).then(|| {
        Check::problem(
            "key items",
            "the public and the private item name different keys: somebody has written one of them alone",
            "restore both from the same instant: docs/operations.md",
        )
    })
}
