//! A process from `exec` to its first answer, the memory that it takes, and its size.

use std::path::PathBuf;

use local::function::Program;
use serde_json::Value;

use crate::authorizer::{echo, event_of, in_node};
use crate::lab::{Lab, USER, event};
use crate::process::{Process, sizes};
use crate::report::{Section, millis, number, table};
use crate::rounds::{Contender, quantile, take_turns};
use crate::{node, plot};

const ROUNDS: usize = 31;
const REFRESH: &str = include_str!("../../events/refresh/ok.json");

/// The event of a refresh with that token.
pub fn refreshing(refresh_token: &str) -> anyhow::Result<Value> {
    event(REFRESH, &format!("sRefreshToken={refresh_token}"))
}

/// What is started.
struct Start {
    name: &'static str,
    program: Program,
    /// What is deployed, if it is one file.
    package: Option<PathBuf>,
    is_refresh: bool,
}

impl Start {
    fn new(name: &'static str, program: Program) -> Self {
        let is_native = program.arguments.is_empty();
        let script = program.arguments.get(1).map(PathBuf::from);
        let bundle = script.filter(|script| script.extension().is_some_and(|it| it == "cjs"));
        let package = if is_native { Some(program.executable.clone()) } else { bundle };
        Self { name, program, package, is_refresh: false }
    }
}

/// Starts all in turns.
pub fn measure() -> anyhow::Result<Section> {
    let lab = Lab::new("RS256")?;
    let event = event_of(&lab.sign_in(USER)?.access.token)?;
    let binaries = lab.binaries()?;
    let jwks = serde_json::to_string(&lab.jwks()?)?;
    let pinned = [("PINNED_JWKS", jwks.as_str())];
    let mut starts = vec![
        Start::new("`lambda_runtime` echo", echo()?),
        Start::new(
            "**Sesam**, authorizer, pinned keys",
            binaries.program("AuthorizerFunction", &pinned)?,
        ),
        Start::new(
            "**Sesam**, authorizer, keys from the table",
            binaries.program("AuthorizerFunction", &[])?,
        ),
        Start {
            is_refresh: true,
            ..Start::new("**Sesam**, refresh", binaries.program("RefreshFunction", &[])?)
        },
        Start::new("Node, empty function", node::function("empty.js", &[])),
    ];
    starts.extend(in_node(&lab)?.map(|(name, program)| Start::new(name, program)));

    let peaks: Vec<_> = starts.iter().map(|_| std::cell::RefCell::new(Vec::new())).collect();
    let mut contenders = Vec::new();
    for (start, peaks) in starts.iter().zip(&peaks) {
        let (lab, event) = (&lab, &event);
        contenders.push(Contender::new(start.name, move || {
            let fresh = match start.is_refresh {
                true => Some(refreshing(lab.sign_in(USER)?.refresh.expose())?),
                false => None,
            };
            let (process, time) =
                Process::start(lab, &start.program, fresh.as_ref().unwrap_or(event))?;
            peaks.borrow_mut().push(process.peak_mib()?);
            Ok(time)
        }));
    }
    take_turns(&mut contenders, ROUNDS)?;

    let mut section = Section::new("cold");
    let memory: Vec<_> = peaks.iter().map(|peaks| quantile(&peaks.borrow(), 0.5)).collect();
    let [echo, pinned, table_keys, ..] = contenders.as_slice() else { anyhow::bail!("too few") };
    section.figure("cold.pinned", pinned.ratio(echo).median);
    section.figure("cold.table", table_keys.ratio(echo).median);
    section.figure("cold.millis", table_keys.median() / 1e6);
    section.figure("cold.rss", memory[2]);
    let node = contenders.len() - 1;
    section.figure("cold.node", contenders[node].ratio(table_keys).median);
    section.figure("cold.node.pinned", contenders[node].ratio(pinned).median);
    section.figure("cold.node.millis", contenders[node].median() / 1e6);
    section.figure("cold.node.rss", memory[node] / memory[2]);
    section.figure("cold.node.mib", memory[node]);

    let bars = contenders.iter().map(|one| (one.name.clone(), one.median() / 1e6));
    section.plot("cold", "From exec to the first answer, in ms", plot::bars(bars)?);
    let mut rows = Vec::new();
    for ((one, start), memory) in contenders.iter().zip(&starts).zip(&memory) {
        let (size, zip) = match &start.package {
            Some(package) => {
                let (size, zip) = sizes(package)?;
                (number(size / 1e6), number(zip / 1e6))
            }
            None => ("–".to_owned(), "–".to_owned()),
        };
        let ratio = one.ratio(echo).times();
        rows.push([one.name.clone(), millis(one.median()), ratio, number(*memory), size, zip]);
    }
    for (name, start) in [("size.authorizer", &starts[1]), ("size.refresh", &starts[3])] {
        if let Some(package) = &start.package {
            section.figure(name, sizes(package)?.0 / 1e6);
        }
    }
    let head = ["Function", "Median, ms", "÷ echo", "Peak RSS, MiB", "Size, MB", "Zipped, MB"];
    section.text(&table(head, rows));
    Ok(section)
}
