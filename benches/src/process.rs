//! Functions as processes: started, asked, weighed.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use local::function::{Invoked, Program, RuntimeApi, Sandbox};
use serde_json::Value;

use crate::lab::Lab;
use crate::rounds::{nanos, now};

/// A process that asks for events.
pub struct Process {
    sandbox: Sandbox,
    invocations: u64,
}

impl Process {
    /// Starts it and has it answer one event: nanoseconds from the call that starts it to the answer.
    pub fn start(lab: &Lab, program: &Program, event: &Value) -> anyhow::Result<(Self, f64)> {
        lab.runtime.block_on(async {
            let api = RuntimeApi::start().await?;
            let (program, event) = (silent(program), event.clone());
            let begun = now();
            let mut sandbox = Sandbox::start(program, api).map_err(problem)?;
            let invoked = sandbox.invoke(0, event).await.map_err(problem)?;
            let time = nanos(begun.elapsed());
            answered(invoked)?;
            Ok((Self { sandbox, invocations: 1 }, time))
        })
    }

    /// Has it answer another event; the answer, and nanoseconds.
    pub fn invoke(&mut self, lab: &Lab, event: &Value) -> anyhow::Result<(Value, f64)> {
        let event = event.clone();
        let number = self.invocations;
        self.invocations += 1;
        let (invoked, time) = lab.runtime.block_on(async {
            let begun = now();
            let invoked = self.sandbox.invoke(number, event).await;
            (invoked, nanos(begun.elapsed()))
        });
        Ok((answered(invoked.map_err(problem)?)?, time))
    }

    /// The most memory that it has had, in MiB.
    pub fn peak_mib(&self) -> anyhow::Result<f64> {
        let id = self.sandbox.id().context("the process has ended")?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        Ok(peak_kib(&status).context("the system does not say")? / 1024.0)
    }
}

/// Has this thread, and the processes that it starts meanwhile, work on one core: a function has no more than that, and
/// to wake another core takes longer than the work that is measured.
pub fn on_one_core<T>(work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let all = said(&status, "Cpus_allowed_list:").context("the system does not say")?;
    let last = all.rsplit([',', '-']).next().unwrap_or(all);
    stay_on(last)?;
    let done = work();
    stay_on(all)?;
    done
}

/// Of the kernel's names, such as `0-1`.
fn stay_on(cores: &str) -> anyhow::Result<()> {
    let own = std::process::id().to_string();
    let taskset = std::process::Command::new("taskset").args(["-pc", cores, &own]).output();
    let taskset = taskset.context("measuring on one core needs taskset, of util-linux")?;
    anyhow::ensure!(taskset.status.success(), "{}", String::from_utf8_lossy(&taskset.stderr));
    Ok(())
}

/// What it logs is work of its own, but nobody reads it here.
fn silent(program: &Program) -> Arc<Program> {
    Arc::new(Program { is_silent: true, ..program.clone() })
}

fn peak_kib(status: &str) -> Option<f64> {
    said(status, "VmHWM:")?.parse().ok()
}

/// What Linux says under that name in a process's status.
fn said<'s>(status: &'s str, name: &str) -> Option<&'s str> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()
}

fn problem(problem: lambda_runtime::Diagnostic) -> anyhow::Error {
    anyhow::anyhow!("{}: {}", problem.error_type, problem.error_message)
}

/// An answer that refuses is no measurement.
fn answered(invoked: Invoked) -> anyhow::Result<Value> {
    let answer = invoked.map_err(problem)?;
    let status = answer["statusCode"].as_u64().unwrap_or(200);
    let is_refused = answer["isAuthorized"] == false || answer.get("errorMessage").is_some();
    anyhow::ensure!(status == 200 && !is_refused, "refused: {answer}");
    Ok(answer)
}

/// What a program takes on disk, and zipped, in bytes.
pub fn sizes(program: &Path) -> anyhow::Result<(f64, f64)> {
    let size = std::fs::metadata(program)?.len();
    // As `sam deploy` packs it.
    let script = "import sys, zipfile, io\n\
        package = io.BytesIO()\n\
        with zipfile.ZipFile(package, 'w', zipfile.ZIP_DEFLATED) as archive:\n    \
            archive.write(sys.argv[1], 'bootstrap')\n\
        print(package.tell())";
    let packed =
        std::process::Command::new("python3").args(["-c", script]).arg(program).output()?;
    let packed = String::from_utf8(packed.stdout)?;
    Ok((size as f64, packed.trim().parse()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_from_what_linux_says() {
        assert_eq!(peak_kib("Name:\tx\nVmPeak:\t 9 kB\nVmHWM:\t    4508 kB\n"), Some(4508.0));
        assert_eq!(peak_kib("Name:\tx\n"), None);
        assert_eq!(said("Cpus_allowed_list:\t0-1\n", "Cpus_allowed_list:"), Some("0-1"));
    }
}
