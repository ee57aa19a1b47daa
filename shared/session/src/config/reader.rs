//! Reads variables one by one and collects what is wrong with them; for a function's own settings too.

use std::fmt;
use std::time::Duration;

use crate::model::TenantId;

/// The variables, what was asked for, and the problems found so far.
pub struct Reader<'l> {
    lookup: &'l dyn Fn(&str) -> Option<String>,
    asked: Vec<&'static str>,
    problems: Vec<String>,
}

/// Settings that cannot work, all of them, one per line.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub struct ConfigError {
    /// Each problem with its remedy.
    pub problems: Vec<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration cannot work:")?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n- {problem}"))
    }
}

impl<'l> Reader<'l> {
    /// Reads through `lookup`; an empty value counts as absent.
    #[must_use]
    pub const fn new(lookup: &'l dyn Fn(&str) -> Option<String>) -> Self {
        Self { lookup, asked: Vec::new(), problems: Vec::new() }
    }

    /// Every variable that `read` asks for, in that order.
    pub fn asked_by<T>(read: impl FnOnce(&mut Reader<'_>) -> T) -> Vec<&'static str> {
        let mut reader = Reader::new(&|_| None);
        read(&mut reader);
        reader.asked
    }

    /// The value of a variable that must be set.
    pub(super) fn required<T>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        if self.value(name).is_none() {
            self.problem(format!("{name} is missing: set it, for example https://api.example.com"));
        }
        self.optional(name, parse)
    }

    /// The value of a variable, or a default. `parse` says what to write instead of what is wrong.
    pub fn or<T>(
        &mut self,
        name: &'static str,
        default: T,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> T {
        self.optional(name, parse).unwrap_or(default)
    }

    /// The value of a variable; `None` if it is not set, or is wrong and was reported.
    pub fn optional<T>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.asked.push(name);
        let text = self.value(name)?;
        let rejected = |problem| format!("{name} is {text:?}: {problem}");
        parse(&text).map_err(|problem| self.problem(rejected(problem))).ok()
    }

    /// As [`Self::optional`], of a value that no message may repeat.
    pub fn secret<T>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.asked.push(name);
        let text = self.value(name)?;
        parse(&text).map_err(|problem| self.problem(format!("{name}: {problem}"))).ok()
    }

    /// Reports what is wrong with several settings together, with its remedy.
    pub fn problem(&mut self, problem: impl Into<String>) {
        self.problems.push(problem.into());
    }

    /// What was read, unless something is wrong with it.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with every problem that was met.
    pub fn finish<T>(self, config: T) -> Result<T, ConfigError> {
        match self.problems {
            problems if problems.is_empty() => Ok(config),
            problems => Err(ConfigError { problems }),
        }
    }

    /// Trimmed; an empty value counts as absent.
    fn value(&self, name: &str) -> Option<String> {
        (self.lookup)(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }
}

/// `true` or `false`, for [`Reader::or`].
///
/// # Errors
///
/// The sentence that says so.
pub fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("use true or false".to_owned()),
    }
}

/// Ids of tenants with commas between, for [`Reader::optional`].
///
/// # Errors
///
/// The sentence that says so.
pub fn tenants(text: &str) -> Result<Vec<TenantId>, String> {
    let ids: Vec<_> = text.split(',').map(str::trim).map(TenantId::new).collect();
    if ids.iter().any(|id| id.as_str().is_empty()) {
        return Err("write ids of tenants with commas between".to_owned());
    }
    Ok(ids)
}

/// A whole number within bounds, both included.
pub(super) fn number(text: &str, (min, max): (u64, u64)) -> Result<u64, String> {
    text.parse()
        .ok()
        .filter(|number| (min..=max).contains(number))
        .ok_or_else(|| format!("use a whole number from {min} to {max}"))
}

/// So many whole seconds within bounds, both included.
pub(super) fn seconds(bounds: (u64, u64)) -> impl Fn(&str) -> Result<Duration, String> {
    move |text| number(text, bounds).map(Duration::from_secs)
}
