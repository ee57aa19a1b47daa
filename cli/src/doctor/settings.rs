//! Whether the deployed functions would start, and agree with each other.

use std::collections::BTreeSet;

use bootstrap::{SEAL_VARIABLE, TABLE_VARIABLES};
use session::SessionConfig;

use super::Check;
use crate::Call;
use crate::stack::Function;

pub(super) fn check(call: &Call) -> Vec<Check> {
    let Some(stack) = &call.deployment.stack else {
        // What this process would go by is still worth a look.
        return vec![match call.deployment.config() {
            Ok(_) => Check::skipped(
                "settings",
                "those of the environment hold; name the stack with --stack to see the functions' own",
            ),
            Err(error) => {
                Check::problem("settings", format!("{error:#}"), "correct the environment")
            }
        }];
    };
    let mut checks: Vec<_> = stack.functions.iter().filter_map(refusal).collect();
    if checks.is_empty() {
        let names: Vec<_> = stack.functions.iter().map(|function| function.name.as_str()).collect();
        checks.push(Check::ok("settings", format!("would let start {}", names.join(", "))));
    }
    checks.extend(disagreements(&stack.functions));
    checks
}

/// Why a function would refuse to start.
fn refusal(function: &Function) -> Option<Check> {
    let lookup = |name: &str| function.variables.get(name).cloned();
    let mut problems = check_settings::problems(lookup);
    let is_missing = |name: &&str| lookup(name).is_none_or(|value| value.trim().is_empty());
    let missing = TABLE_VARIABLES.into_iter().filter(is_missing);
    problems.extend(missing.map(|name| format!("{name} is missing")));
    (!problems.is_empty()).then(|| {
        Check::problem(
            format!("settings of {}", function.name),
            problems.join("; "),
            "correct the stack's parameters and deploy again: the function refuses to start",
        )
    })
}

/// Settings that should be the same wherever they are, and are not.
fn disagreements(functions: &[Function]) -> Option<Check> {
    let shared =
        SessionConfig::variables().into_iter().chain(TABLE_VARIABLES).chain([SEAL_VARIABLE]);
    let differs = |name: &&str| {
        let values = functions.iter().filter_map(|function| function.variables.get(*name));
        values.map(|value| value.trim()).collect::<BTreeSet<_>>().len() > 1
    };
    let differing: Vec<_> = shared.filter(differs).collect();
    (!differing.is_empty()).then(|| {
        Check::warning(
            "settings agree",
            format!("functions have different values of {}", differing.join(", ")),
            "give all functions of the stack the same, unless you mean it",
        )
    })
}
