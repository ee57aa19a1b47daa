//! Evidence for the claims about refreshing and about keys, gathered on the code that ships.
//!
//! `make prove` runs every claim at a size that fits continuous integration and prints one line each;
//! `make prove SIZE=full` takes hours. Each module is one kind of evidence.

mod concurrency;
mod faults;
mod keys;
mod search;
mod simulation;
mod theft;

use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, ValueEnum};

/// How much evidence to gather.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Size {
    /// Minutes.
    Ci,
    /// Hours.
    Full,
}

/// What a run has shown.
pub struct Claim {
    /// A sentence, with its number.
    pub text: String,
    /// Whether it holds.
    pub holds: bool,
}

/// Gathers evidence for the claims about refreshing.
#[derive(Parser)]
struct Arguments {
    /// How much evidence to gather
    #[arg(long, value_enum, default_value_t = Size::Ci)]
    size: Size,
    /// Replay this world of the simulation only
    #[arg(long)]
    seed: Option<u64>,
    /// Only the evidence of these names
    names: Vec<String>,
}

type Evidence = fn(Size) -> anyhow::Result<Vec<Claim>>;

const ALL: &[(&str, Evidence)] = &[
    ("concurrency", concurrency::run),
    ("faults", faults::run),
    ("keys", keys::run),
    ("search", search::run),
    ("simulation", simulation::run),
    ("theft", theft::run),
];

#[expect(clippy::disallowed_methods, reason = "prints how long each took")]
fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let mut all_hold = true;
    for &(name, gather) in ALL {
        if !arguments.names.is_empty() && !arguments.names.iter().any(|wanted| wanted == name) {
            continue;
        }
        let start = Instant::now();
        let claims = match arguments.seed {
            Some(seed) if name == "simulation" => simulation::replay(seed),
            _ => gather(arguments.size)?,
        };
        for claim in claims {
            let verdict = if claim.holds { "holds" } else { "FAILS" };
            println!("{name:<12} {verdict}  {} ({:.0?})", claim.text, start.elapsed());
            all_hold &= claim.holds;
        }
    }
    Ok(if all_hold { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
