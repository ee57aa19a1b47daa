//! `sesam keys`: the schedule of all keys, and commands to it (docs/keys.md).

use anyhow::Context as _;
use clap::{Subcommand, ValueEnum};
use session::config::KeyConfig;
use session::model::{KeyId, Timestamp};
use session::service::{KeyCommand, KeyKind, KeyReport, KeySummary};
use session::token::key::SigningAlgorithm;

use crate::terminal::{Terminal, instant};
use crate::{Call, Ending};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Every key with its schedule, without key material
    List,
    /// Publish a successor now, which takes over in 3 hours; nobody notices
    Rotate {
        /// Which line of keys; none does what is due, and makes the first keys
        kind: Option<Kind>,
    },
    /// Stop believing a signing key: clients refresh once and go on
    Revoke {
        /// The key's id, such as `d-1700000000000`
        kid: String,
    },
    /// Stop believing a master key: ends every session that was minted under it
    RevokeMaster {
        /// The key's number
        id: u8,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Kind {
    /// Signs access tokens, rotates every week
    Dynamic,
    /// Signs what lives long, rotates by command only
    Static,
    /// Derives refresh tokens, rotates every 90 days
    Master,
}

impl From<Kind> for KeyKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Dynamic => Self::Dynamic,
            Kind::Static => Self::Static,
            Kind::Master => Self::Master,
        }
    }
}

pub(crate) async fn run(
    call: &Call,
    command: Command,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<Ending> {
    let sessions = call.deployment.sessions()?;
    let command = match command {
        Command::List => {
            let Some(found) = sessions.key_report(call.now).await? else {
                terminal.note(
                    "There are no keys yet: `rotate-keys` makes them within the hour, and \
                     `sesam keys rotate` at once.",
                )?;
                return Ok(Ending::No);
            };
            return report(call, &found, terminal);
        }
        Command::Rotate { kind } => {
            kind.map_or(KeyCommand::Advance, |kind| KeyCommand::Rotate(kind.into()))
        }
        Command::Revoke { kid } => {
            let question = format!(
                "Revoke {kid}? Another key signs in 30 s; in 6 min no token of this one is believed, and \
                 clients refresh."
            );
            terminal.confirm(&question, call.yes)?;
            KeyCommand::Revoke(KeyId::new(kid))
        }
        Command::RevokeMaster { id } => {
            let question = format!(
                "Revoke the master key {id}? EVERY SESSION that began or was refreshed while it minted ends."
            );
            terminal.confirm(&question, call.yes)?;
            KeyCommand::RevokeMaster(id)
        }
    };
    terminal.note(&reckoned_with(sessions.config()))?;
    let rng = &mut bootstrap::system_rng();
    let done = sessions.rotate_keys(&command, call.now, rng).await;
    let done = done.context("the keys are as they were, or `sesam keys list` shows the change")?;
    if !done.changed && !call.json {
        terminal.note("Nothing was left to do.")?;
    }
    report(call, &done, terminal)
}

/// The settings that decide on the life of keys: they must be those of the functions.
fn reckoned_with(config: &session::SessionConfig) -> String {
    let KeyConfig { algorithm, signing_rotation, master_rotation, .. } = &config.keys;
    format!(
        "Reckoned with {}, signing keys of {} h, master keys of {} d, access tokens of {} s and sessions that \
         rest for {} d.",
        algorithm.name(),
        signing_rotation.as_secs() / 3600,
        master_rotation.as_secs() / 86_400,
        config.lifetimes.access_token.as_secs(),
        config.lifetimes.refresh_token.as_secs() / 86_400,
    )
}

fn report(call: &Call, found: &KeyReport, terminal: &mut Terminal<'_>) -> anyhow::Result<Ending> {
    if call.json {
        terminal.json(found)?;
        return Ok(Ending::Done);
    }
    let at = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), instant);
    let row = |key: &KeySummary| {
        vec![
            word(&key.kind),
            key.id.clone(),
            key.algorithm.map_or("-", SigningAlgorithm::name).to_owned(),
            word(&key.state),
            instant(key.life.signs_from),
            at(key.life.signs_until),
            at(key.life.accepted_until),
            at(key.life.revoked_at),
        ]
    };
    let head = [
        "KIND",
        "ID",
        "ALGORITHM",
        "STATE",
        "SIGNS FROM",
        "SIGNS UNTIL",
        "BELIEVED UNTIL",
        "REVOKED",
    ];
    terminal.table(&head, &found.keys.iter().map(row).collect::<Vec<_>>())?;
    Ok(Ending::Done)
}

/// As documents spell it.
fn word(value: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}
