//! The Node side: workers that verify, and functions.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::Context as _;
use local::function::{Language, Program};
use serde_json::Value;

/// What `make` installs and bundles there.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/node");

/// A file of the Node side.
pub fn file(name: &str) -> PathBuf {
    Path::new(FOLDER).join(name)
}

/// A function in Node, on the runtime of the local stack: it is smaller than AWS's own and starts sooner.
pub fn function(name: &str, variables: &[(&str, &str)]) -> Program {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Program {
        variables: variables.collect(),
        ..Program::handler(Language::JavaScript, &file(name))
    }
}

/// A process that verifies one token with one library, as often as it is told.
pub struct Worker {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts it and lets the compiler of its engine see the code often enough.
    pub fn start(library: &str, bench: &Value) -> anyhow::Result<Self> {
        let mut process = Command::new("node")
            .arg(file("verify.js"))
            .arg(library)
            .env("BENCH", bench.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting node")?;
        let input = process.stdin.take().context("no input")?;
        let output = BufReader::new(process.stdout.take().context("no output")?);
        let mut worker = Self { process, input, output };
        worker.verify(3_000)?;
        Ok(worker)
    }

    /// Verifies so many times; nanoseconds of one.
    pub fn verify(&mut self, times: u32) -> anyhow::Result<f64> {
        writeln!(self.input, "{times}")?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let nanos: f64 = line.trim().parse().context("the worker has ended")?;
        Ok(nanos / f64::from(times))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
