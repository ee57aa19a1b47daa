//! What verifying, authorizing, starting and refreshing cost, beside what else one could use, in one run on one
//! machine. `make bench` runs all and writes docs/performance.md.

// The futures of the functions nest deeper than the compiler's default of 128 types.
#![recursion_limit = "256"]

mod authorizer;
mod cold;
mod cost;
mod growth;
mod lab;
mod load;
mod node;
mod page;
mod plot;
mod process;
mod refresh;
mod report;
mod rounds;
mod verify;

use clap::{Parser, Subcommand};
use report::Section;

/// Measures Sesam beside what else one could use.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
    /// Put what is found into docs/performance.md; `all` also into the README
    #[arg(long, global = true)]
    write: bool,
}

#[derive(Clone, Copy, Subcommand)]
enum What {
    /// Token text in, session out
    Verify,
    /// An authorizer's event in, its answer out
    Authorizer,
    /// From `exec` to the first answer; memory and size
    Cold,
    /// A refresh's event in, its answer out
    Refresh,
    /// Tables of up to a million sessions, users of up to a hundred thousand
    Growth,
    /// Refreshes over 1 to 64 connections
    Load,
    /// By list prices
    Cost,
    /// All of these
    All,
    /// Serve a stack to load
    #[command(hide = true)]
    Serve,
}

fn main() -> anyhow::Result<()> {
    let Arguments { what, write } = Arguments::parse();
    let experiments: &[fn() -> anyhow::Result<Section>] = match what {
        What::Verify => &[verify::measure],
        What::Authorizer => &[authorizer::measure],
        What::Cold => &[cold::measure],
        What::Refresh => &[refresh::measure],
        What::Growth => &[growth::measure],
        What::Load => &[load::measure],
        What::Cost => &[cost::measure],
        What::All => &[
            verify::measure,
            authorizer::measure,
            cold::measure,
            refresh::measure,
            growth::measure,
            load::measure,
            cost::measure,
        ],
        What::Serve => return load::serve(),
    };
    // What one experiment lacks is no reason to lose the others.
    let (mut sections, mut failures) = (Vec::new(), Vec::new());
    for measure in experiments {
        match measure() {
            Ok(section) => {
                print(&section);
                sections.push(section);
            }
            Err(error) => failures.push(format!("{error:#}")),
        }
    }
    if write {
        page::write(&sections)?;
    }
    anyhow::ensure!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "this is a command line tool")]
fn print(section: &Section) {
    let is_shown = |line: &&str| !line.starts_with("![");
    let text: Vec<_> = section.text.lines().filter(is_shown).collect();
    println!("## {}\n\n{}\n", section.name, text.join("\n").trim());
}
