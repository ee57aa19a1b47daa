//! The operator's command line: looks at a deployment, its sessions, keys and tokens, and changes them by the
//! same use cases as the functions.
//!
//! docs/operations.md shows every command with what it prints.

mod deployment;
mod doctor;
mod keys;
mod sessions;
mod stack;
mod tables;
mod terminal;
mod token;

use aws_config::SdkConfig;
use bootstrap::Lookup;
use clap::{Parser, Subcommand};
use session::model::Clock;

use self::deployment::{Deployment, Target};
pub use self::terminal::Terminal;
use self::terminal::Unconfirmed;

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed: what became of it is in the message
  2  the command line is wrong
  3  the answer is no: a problem was found, the token is refused, there is no such session or key
  4  not confirmed";

/// Looks at a deployment of Sesam, its sessions, keys and tokens
// Neither this nor the commands can be printed: one of them takes a token.
#[derive(Parser)]
#[command(name = "sesam", version, after_help = EXIT_CODES)]
pub struct Arguments {
    #[command(flatten)]
    target: Target,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    /// Do not ask before something is destroyed
    #[arg(long, global = true)]
    yes: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check a deployment: settings, tables, keys, schedule, API, clock
    Doctor,
    /// Show and end sessions
    #[command(subcommand)]
    Sessions(sessions::Command),
    /// Show, rotate and revoke keys
    #[command(subcommand)]
    Keys(keys::Command),
    /// Explain tokens
    #[command(subcommand)]
    Token(token::Command),
    /// Make the tables where no template makes them
    #[command(subcommand)]
    Tables(tables::Command),
}

/// What a command takes from the machine that it runs on.
#[derive(Clone, Copy)]
pub struct Machine<'a> {
    /// How AWS is reached; none is as AWS' own tools reach it.
    pub aws: Option<&'a SdkConfig>,
    /// The clock.
    pub clock: &'a dyn Clock,
    /// The environment.
    pub variables: Lookup,
}

/// How a command ended; the process ends with the same number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Ending {
    /// It did what it was asked to.
    Done = 0,
    /// It could not, or not all.
    Failed = 1,
    /// It did, and the answer is no.
    No = 3,
    /// Nobody said yes.
    Unconfirmed = 4,
}

impl From<Ending> for std::process::ExitCode {
    fn from(ending: Ending) -> Self {
        Self::from(ending as u8)
    }
}

/// Carries out a command. Errors are printed, with what to do.
pub async fn run(
    arguments: Arguments,
    machine: &Machine<'_>,
    terminal: &mut Terminal<'_>,
) -> Ending {
    match obey(arguments, machine, terminal).await {
        Ok(ending) => ending,
        Err(error) => {
            let (what, advice) = deployment::explained(&error);
            // There is nobody left to tell if this fails, too.
            let _ = terminal.note(&format!("error: {what}"));
            if let Some(advice) = advice {
                let _ = terminal.note(&format!("       {advice}"));
            }
            if error.is::<Unconfirmed>() { Ending::Unconfirmed } else { Ending::Failed }
        }
    }
}

async fn obey(
    arguments: Arguments,
    machine: &Machine<'_>,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<Ending> {
    let Arguments { target, json, yes, command } = arguments;
    let deployment = Deployment::open(target, machine).await?;
    let now = machine.clock.now();
    let call = Call { deployment, now, json, yes };
    match command {
        Command::Doctor => doctor::run(&call, terminal).await,
        Command::Sessions(command) => sessions::run(&call, command, terminal).await,
        Command::Keys(command) => keys::run(&call, command, terminal).await,
        Command::Token(command) => token::run(&call, command, terminal).await,
        Command::Tables(tables::Command::Create) => tables::create(&call, terminal).await,
    }
}

/// What every command needs.
struct Call {
    deployment: Deployment,
    now: session::model::Timestamp,
    json: bool,
    yes: bool,
}
