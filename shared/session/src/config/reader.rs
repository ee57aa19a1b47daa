//! Reads variables one by one and collects what is wrong with them; for a function's own settings too.

use super::ConfigError;

/// The variables, and the problems found so far.
#[derive(Debug)]
pub struct Reader<L> {
    lookup: L,
    /// Each with its remedy.
    pub(super) problems: Vec<String>,
}

impl<L: Fn(&str) -> Option<String>> Reader<L> {
    /// Reads through `lookup`; an empty value counts as absent.
    pub const fn new(lookup: L) -> Self {
        Self { lookup, problems: Vec::new() }
    }

    /// The value of a variable that must be set.
    pub(super) fn required<T>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        if self.value(name).is_none() {
            self.problems
                .push(format!("{name} is missing: set it, for example https://api.example.com"));
        }
        self.optional(name, parse)
    }

    /// The value of a variable, or a default. `parse` says what to write instead of what is wrong.
    pub fn or<T>(
        &mut self,
        name: &str,
        default: T,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> T {
        self.optional(name, parse).unwrap_or(default)
    }

    /// The value of a variable; `None` if it is not set, or is wrong and was reported.
    pub(super) fn optional<T>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.value(name)?;
        let rejected = |problem| format!("{name} is {text:?}: {problem}");
        parse(&text).map_err(|problem| self.problems.push(rejected(problem))).ok()
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

/// A whole number within bounds, both included.
pub(super) fn number(text: &str, (min, max): (u64, u64)) -> Result<u64, String> {
    text.parse()
        .ok()
        .filter(|number| (min..=max).contains(number))
        .ok_or_else(|| format!("use a whole number from {min} to {max}"))
}
