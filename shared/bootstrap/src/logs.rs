//! Logs on standard output, in the form and from the level that the function's `LoggingConfig` asks for.

use lambda_http::lambda_runtime::tracing::subscriber;
use lambda_http::tracing::level_filters::LevelFilter;

use crate::variable;

/// Not the runtime's own subscriber: it takes directives for modules as well, and with them every binary
/// would hold a compiler of regular expressions.
pub(super) fn init() {
    let lines = subscriber::fmt().with_target(false).without_time();
    let lines = lines.with_max_level(level(variable("AWS_LAMBDA_LOG_LEVEL").as_deref()));
    if variable("AWS_LAMBDA_LOG_FORMAT").is_some_and(|form| form.eq_ignore_ascii_case("json")) {
        lines.json().init();
    } else {
        lines.init();
    }
}

/// The level of one of Lambda's names, of which `FATAL` is none of ours; `INFO` without one.
fn level(name: Option<&str>) -> LevelFilter {
    match name.map(str::to_ascii_uppercase).as_deref() {
        Some("FATAL") => LevelFilter::ERROR,
        Some(name) => name.parse().unwrap_or(LevelFilter::INFO),
        None => LevelFilter::INFO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_of_lambda_has_one() {
        let names = [None, Some("TRACE"), Some("DEBUG"), Some("INFO"), Some("WARN"), Some("error")];
        let levels = names.into_iter().chain([Some("FATAL"), Some("?")]).map(level);
        let expected = ["info", "trace", "debug", "info", "warn", "error", "error", "info"];
        assert!(levels.map(|level| level.to_string()).eq(expected));
    }
}
