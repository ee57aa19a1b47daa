//! `sesam`, the operator's command line.

use std::io::{IsTerminal as _, stderr, stdin, stdout};
use std::process::ExitCode;

use bootstrap::SystemClock;
use clap::Parser as _;
use sesam::{Arguments, Machine, Terminal};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let machine = Machine { aws: None, clock: &SystemClock, variables: bootstrap::variable };
    let mut terminal = Terminal {
        out: &mut stdout().lock(),
        err: &mut stderr().lock(),
        input: &mut stdin().lock(),
        is_interactive: stdin().is_terminal(),
    };
    sesam::run(Arguments::parse(), &machine, &mut terminal).await.into()
}
