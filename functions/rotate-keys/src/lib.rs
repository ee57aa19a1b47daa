//! The life cycle of keys: `EventBridge` Scheduler asks for what is due, operators send commands.
//!
//! Every command may be repeated, by Lambda's own retries for example. The answer is the schedule of
//! all keys, without key material.

mod event;

use lambda_runtime::Diagnostic;
use serde_json::Value;
use session::error::with_causes;
use session::model::Clock;
use session::service::KeyReport;
use session::store::{KeyRotator, PrivateKeyReader};
use session::{SessionError, Sessions};

pub use self::event::command;

/// Nothing was done, or nothing is known; repeating the command is safe.
#[derive(Debug)]
pub enum Refusal {
    /// The event is none that this function understands.
    UnrecognisedEvent,
    /// The command cannot be carried out, or the table or the key service cannot answer.
    Failed(SessionError),
}

/// Carries out one command.
///
/// # Errors
///
/// [`Refusal`]; the alarm on this function's errors reports it.
pub async fn handle<S: PrivateKeyReader + KeyRotator>(
    sessions: &Sessions<S>,
    clock: &impl Clock,
    event: Value,
) -> Result<KeyReport, Refusal> {
    let command = command(&event).ok_or(Refusal::UnrecognisedEvent)?;
    let rng = &mut bootstrap::system_rng();
    sessions.rotate_keys(&command, clock.now(), rng).await.map_err(Refusal::Failed)
}

/// Stable names, because alarms match on them.
impl From<Refusal> for Diagnostic {
    fn from(refusal: Refusal) -> Self {
        let (error_type, error_message) = match refusal {
            Refusal::UnrecognisedEvent => (
                "UnrecognisedEvent",
                "send {}, {\"rotate\": \"dynamic\" | \"static\" | \"master\"}, {\"revoke\": \"<kid>\"} or \
                 {\"revokeMaster\": <id>}"
                    .to_owned(),
            ),
            Refusal::Failed(error @ SessionError::InvalidInput(_)) => {
                ("CommandRefused", error.to_string())
            }
            Refusal::Failed(error) => ("RotationFault", with_causes(&error)),
        };
        Self { error_type: error_type.to_owned(), error_message }
    }
}
