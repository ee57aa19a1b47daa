//! Functions in other languages: a process that answers events line by line, like a warm sandbox.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use lambda_runtime::Diagnostic;
use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::{Function, Invoked};

/// How long a handler may take, start of its process included: what an HTTP API waits for.
const TIMEOUT: Duration = Duration::from_secs(30);

const RUNNERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/runners");

/// What a handler is written in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Language {
    /// A module that exports `handler`, run by `node`.
    JavaScript,
    /// A file that defines `handler`, run by `python3`.
    Python,
}

impl Language {
    const fn command(self) -> (&'static str, &'static str) {
        match self {
            Self::JavaScript => ("node", "node.mjs"),
            Self::Python => ("python3", "python.py"),
        }
    }
}

impl Function {
    /// A function in another language; `handler` is its file, `variables` are added to its environment.
    ///
    /// Its process starts with the first event, takes one event at a time, and is replaced after it
    /// has exited or taken too long. It ends with the last clone of the function.
    #[must_use]
    pub fn process(
        language: Language,
        handler: impl Into<PathBuf>,
        variables: &[(&'static str, &str)],
    ) -> Self {
        let handler: Arc<Path> = handler.into().into();
        let variables = variables.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let variables: Arc<Variables> = variables.collect();
        let warm: Arc<Mutex<Option<Sandbox>>> = Arc::default();
        Self(Arc::new(move |event| {
            let (handler, warm) = (Arc::clone(&handler), Arc::clone(&warm));
            let variables = Arc::clone(&variables);
            Box::pin(async move {
                let mut warm = warm.lock().await;
                // Put back only after a whole answer, so that no answer meets another event.
                let answer = async {
                    let mut sandbox = match warm.take() {
                        Some(sandbox) => sandbox,
                        None => Sandbox::start(language, &handler, &variables)?,
                    };
                    let reply = sandbox.answer(&event).await?;
                    Ok::<_, io::Error>((sandbox, reply))
                };
                let (sandbox, reply) = timeout(TIMEOUT, answer)
                    .await
                    .map_err(|_| diagnostic("Sandbox.Timedout", "Task timed out"))?
                    .map_err(|error| diagnostic("Runtime.ExitError", &error.to_string()))?;
                *warm = Some(sandbox);
                reply.into()
            })
        }))
    }
}

/// What is added to the environment of a process.
type Variables = [(&'static str, String)];

/// The process of one handler; dropping it ends it.
struct Sandbox {
    _process: Child,
    events: ChildStdin,
    replies: Lines<BufReader<ChildStdout>>,
}

impl Sandbox {
    fn start(language: Language, handler: &Path, variables: &Variables) -> io::Result<Self> {
        let (program, runner) = language.command();
        let mut process = Command::new(program)
            .arg(Path::new(RUNNERS).join(runner))
            .arg(handler)
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (Some(events), Some(replies)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(io::Error::other("the process has no pipes"));
        };
        Ok(Self { _process: process, events, replies: BufReader::new(replies).lines() })
    }

    async fn answer(&mut self, event: &Value) -> io::Result<Reply> {
        let line = format!("{event}\n");
        self.events.write_all(line.as_bytes()).await?;
        let exited = || io::Error::other("the process exited before it answered");
        let reply = self.replies.next_line().await?.ok_or_else(exited)?;
        Ok(serde_json::from_str(&reply)?)
    }
}

/// What a runner writes.
#[derive(Deserialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
enum Reply {
    Answer { answer: Value },
    Error { error_type: String, error_message: String },
}

impl From<Reply> for Invoked {
    fn from(reply: Reply) -> Self {
        match reply {
            Reply::Answer { answer } => Ok(answer),
            Reply::Error { error_type, error_message } => {
                Err(Diagnostic { error_type, error_message })
            }
        }
    }
}

fn diagnostic(error_type: &str, error_message: &str) -> Diagnostic {
    Diagnostic { error_type: error_type.to_owned(), error_message: error_message.to_owned() }
}
