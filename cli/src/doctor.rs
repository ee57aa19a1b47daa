//! `sesam doctor`: looks at a deployment and says what to do. It changes nothing.

mod api;
mod keys;
mod settings;
mod tables;

use serde::Serialize;
use serde_json::json;

use crate::terminal::{Terminal, count};
use crate::{Call, Ending};

/// What looking at one thing has shown.
#[derive(Debug, Serialize)]
struct Check {
    verdict: Verdict,
    /// What was looked at.
    about: String,
    found: String,
    /// What to do about it.
    remedy: Option<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    /// Works, and something could be better.
    Warning,
    /// Does not work, or soon will not.
    Problem,
    /// Does not apply, or could not be looked at.
    Skipped,
}

impl Check {
    fn ok(about: impl Into<String>, found: impl Into<String>) -> Self {
        Self { verdict: Verdict::Ok, about: about.into(), found: found.into(), remedy: None }
    }

    fn skipped(about: impl Into<String>, found: impl Into<String>) -> Self {
        Self { verdict: Verdict::Skipped, ..Self::ok(about, found) }
    }

    fn warning(
        about: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { verdict: Verdict::Warning, remedy: Some(remedy.into()), ..Self::ok(about, found) }
    }

    fn problem(
        about: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { verdict: Verdict::Problem, ..Self::warning(about, found, remedy) }
    }
}

pub(crate) async fn run(call: &Call, terminal: &mut Terminal<'_>) -> anyhow::Result<Ending> {
    let mut checks = settings::check(call);
    checks.extend(tables::check(call).await?);
    checks.extend(keys::check(call).await);
    checks.extend(api::check(call).await);
    let number = |verdict| checks.iter().filter(|check| check.verdict == verdict).count();
    let (problems, warnings) = (number(Verdict::Problem), number(Verdict::Warning));
    let ending = if problems > 0 { Ending::No } else { Ending::Done };
    if call.json {
        terminal.json(&json!({ "checks": checks, "problems": problems, "warnings": warnings }))?;
        return Ok(ending);
    }
    let width = checks.iter().map(|check| check.about.chars().count()).max().unwrap_or_default();
    for Check { verdict, about, found, remedy } in &checks {
        let verdict = match verdict {
            Verdict::Ok => "ok",
            Verdict::Warning => "WARNING",
            Verdict::Problem => "PROBLEM",
            Verdict::Skipped => "skipped",
        };
        terminal.line(&format!("{verdict:7}  {about:width$}  {found}"))?;
        if let Some(remedy) = remedy {
            terminal.line(&format!("{:7}  {:width$}  -> {remedy}", "", ""))?;
        }
    }
    terminal.line("")?;
    terminal.line(&format!("{}, {}", count(problems, "problem"), count(warnings, "warning")))?;
    Ok(ending)
}
