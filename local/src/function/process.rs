//! Functions that are programs of their own: processes behind Lambda's Runtime API, as many as are busy.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bootstrap::SystemClock;
use lambda_runtime::Diagnostic;
use serde_json::Value;
use session::model::Clock as _;
use tokio::process::{Child, Command};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{sleep, timeout};

use super::runtime_api::{Event, RuntimeApi};
use super::{Function, Invoked, fault};

/// How many processes a function has at most; further events wait.
const MAX_PROCESSES: usize = 8;

/// How long a process may take until it asks for its first event. On AWS it is 10 s, of a machine that
/// does nothing else.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// What every function has on AWS; nobody checks it here.
const CREDENTIALS: [(&str, &str); 4] = [
    ("AWS_REGION", "eu-west-1"),
    ("AWS_DEFAULT_REGION", "eu-west-1"),
    ("AWS_ACCESS_KEY_ID", "local"),
    ("AWS_SECRET_ACCESS_KEY", "local"),
];

const RUNNERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/runners");

/// A program that asks Lambda's Runtime API for events, and what it is told of its function.
#[derive(Clone, Debug)]
pub struct Program {
    /// The function's name.
    pub name: String,
    /// The executable.
    pub executable: PathBuf,
    /// What it is called with.
    pub arguments: Vec<OsString>,
    /// Its environment, besides what Lambda sets.
    pub variables: Vec<(String, String)>,
    /// Whether it sees this process's environment too.
    pub inherits_environment: bool,
    /// Whether what it logs is thrown away.
    pub is_silent: bool,
    /// In MB. Nobody enforces it here.
    pub memory_mb: u32,
    /// How long one invocation may take.
    pub timeout: Duration,
}

/// What a handler is written in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Language {
    /// A module that exports `handler`, run by `node`.
    JavaScript,
    /// A file that defines `handler`, run by `python3`.
    Python,
}

impl Program {
    /// A handler in another language, with the timeout of an HTTP API's integration.
    #[must_use]
    pub fn handler(language: Language, file: &Path) -> Self {
        let (executable, runner) = match language {
            Language::JavaScript => ("node", "node.mjs"),
            Language::Python => ("python3", "python.py"),
        };
        Self {
            name: "handler".to_owned(),
            executable: executable.into(),
            arguments: vec![Path::new(RUNNERS).join(runner).into(), file.into()],
            variables: Vec::new(),
            inherits_environment: true,
            is_silent: false,
            memory_mb: 256,
            timeout: Duration::from_secs(30),
        }
    }

    fn spawn(&self, api: &RuntimeApi) -> io::Result<Child> {
        let mut command = Command::new(&self.executable);
        if !self.inherits_environment {
            command.env_clear();
        }
        if self.is_silent {
            command.stdout(Stdio::null()).stderr(Stdio::null());
        } else {
            // Standard output is the stack's, to greet its user.
            command.stdout(io::stderr());
        }
        command
            .args(&self.arguments)
            .envs(CREDENTIALS)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .env("AWS_LAMBDA_RUNTIME_API", api.address.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", &self.name)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", self.memory_mb.to_string())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
    }
}

impl Function {
    /// A function whose processes start when they are needed, take one event at a time, are replaced
    /// when they exit or take too long, and end with the last clone of the function.
    #[must_use]
    pub fn process(program: Program) -> Self {
        let pool = Arc::new(Pool {
            program: Arc::new(program),
            idle: Mutex::default(),
            room: Semaphore::new(MAX_PROCESSES),
            invocations: AtomicU64::new(0),
        });
        Self(Arc::new(move |event| {
            let pool = Arc::clone(&pool);
            Box::pin(async move { pool.invoke(event).await })
        }))
    }
}

struct Pool {
    program: Arc<Program>,
    /// Processes that have answered, the last one last.
    idle: Mutex<Vec<Sandbox>>,
    room: Semaphore,
    invocations: AtomicU64,
}

impl Pool {
    async fn invoke(&self, payload: Value) -> Invoked {
        let _room = self.room.acquire().await.map_err(|closed| fault(&closed))?;
        let (mut sandbox, give) = match self.warm().await {
            Some(warm) => warm,
            None => self.cold().await?,
        };
        let number = self.invocations.fetch_add(1, Ordering::Relaxed);
        let invoked = sandbox.answer(give, number, payload).await?;
        self.idle().push(sandbox);
        invoked
    }

    /// A process that waits for another event. Those that have ended since are forgotten.
    async fn warm(&self) -> Option<(Sandbox, oneshot::Sender<Event>)> {
        loop {
            let mut sandbox = self.idle().pop()?;
            if let Ok(give) = sandbox.ready().await {
                return Some((sandbox, give));
            }
        }
    }

    /// A new process, once it waits for its first event.
    async fn cold(&self) -> Result<(Sandbox, oneshot::Sender<Event>), Diagnostic> {
        let api = RuntimeApi::start().await.map_err(|error| fault(&error))?;
        let mut sandbox = Sandbox::start(Arc::clone(&self.program), api)?;
        let give = sandbox.ready().await?;
        Ok((sandbox, give))
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Sandbox>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One process with its API; dropping it ends both.
#[derive(Debug)]
pub struct Sandbox {
    program: Arc<Program>,
    process: Child,
    api: RuntimeApi,
}

impl Sandbox {
    /// Starts a program that is to ask this API for events, without waiting for it.
    ///
    /// # Errors
    ///
    /// If it cannot be executed.
    pub fn start(program: Arc<Program>, api: RuntimeApi) -> Result<Self, Diagnostic> {
        let process = program.spawn(&api).map_err(|error| {
            let executable = program.executable.display();
            diagnostic("Runtime.InvalidEntrypoint", &format!("{executable}: {error}"))
        })?;
        Ok(Self { program, process, api })
    }

    /// The process's id; `None` once it has ended.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.process.id()
    }

    /// Has the process answer an event, once it asks for one; `number` makes the request's id.
    ///
    /// # Errors
    ///
    /// If it ends or takes too long; then it is of no use any more.
    pub async fn invoke(&mut self, number: u64, payload: Value) -> Result<Invoked, Diagnostic> {
        let give = self.ready().await?;
        self.answer(give, number, payload).await
    }

    /// Has the process answer the event that it asked for.
    async fn answer(
        &mut self,
        give: oneshot::Sender<Event>,
        number: u64,
        payload: Value,
    ) -> Result<Invoked, Diagnostic> {
        let Program { name, timeout, .. } = self.program.as_ref();
        let id = format!("00000000-0000-4000-8000-{number:012x}");
        let (answer, answered) = oneshot::channel();
        let event = Event {
            function_arn: format!("arn:aws:lambda:eu-west-1:123456789012:function:{name}"),
            trace_id: format!("Root=1-00000000-{number:024x};Sampled=0"),
            deadline: SystemClock.now().plus(*timeout),
            id: id.clone(),
            payload,
            answer,
        };
        let problem =
            |kind, problem| diagnostic(kind, &format!("RequestId: {id} Error: {problem}"));
        // A process that has gone away meanwhile is noticed below.
        let _ = give.send(event);
        tokio::select! {
            biased;
            Ok(invoked) = answered => Ok(invoked),
            exit = self.process.wait() => Err(problem("Runtime.ExitError", exited(exit))),
            () = sleep(*timeout) => {
                let seconds = timeout.as_secs_f64();
                let text = format!("Task timed out after {seconds:.2} seconds");
                Err(problem("Sandbox.Timedout", text))
            }
        }
    }

    /// Waits until the process asks for an event, and returns where it goes.
    async fn ready(&mut self) -> Result<oneshot::Sender<Event>, Diagnostic> {
        let asked = async {
            loop {
                tokio::select! {
                    biased;
                    Some(ready) = self.api.ready.recv() => match ready {
                        Ok(give) if give.is_closed() => {} // The request's connection has gone.
                        ready => break ready,
                    },
                    exit = self.process.wait() => {
                        break Err(diagnostic("Runtime.ExitError", &exited(exit)));
                    }
                }
            }
        };
        let late = || diagnostic("Sandbox.Timedout", "the process asked for no event");
        let give = timeout(START_TIMEOUT, asked).await.map_err(|_| late())??;
        match self.process.try_wait().transpose() {
            Some(exit) => Err(diagnostic("Runtime.ExitError", &exited(exit))),
            None => Ok(give),
        }
    }
}

fn exited(exit: io::Result<ExitStatus>) -> String {
    match exit {
        Ok(status) => format!("Runtime exited with error: {status}"),
        Err(error) => format!("Runtime exited: {error}"),
    }
}

fn diagnostic(error_type: &str, error_message: &str) -> Diagnostic {
    Diagnostic { error_type: error_type.to_owned(), error_message: error_message.to_owned() }
}
