//! Versions of the Core Driver Interface (core §4).

use std::fmt;

use http::HeaderMap;

use crate::answer::Refusal;

const HEADER: &str = "cdi-version";

/// A version that is spoken here.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct CdiVersion(u64, u64);

impl CdiVersion {
    /// Sessions say which login method they are of; lists and ends can leave linked accounts out.
    pub(crate) const V4_0: Self = Self(4, 0);
    /// Refreshing says which kind of key signs; what concerns a whole application is asked of its public
    /// tenant only.
    pub(crate) const V5_0: Self = Self(5, 0);
    /// Verifying never mints; callers may ask for shorter access tokens.
    pub(crate) const V5_6: Self = Self(5, 6);
    /// What is spoken to callers who do not say.
    pub(crate) const NEWEST: Self = Self::V5_6;

    /// All of them, oldest first.
    pub(crate) const ALL: [Self; 10] = [
        Self(3, 0),
        Self(3, 1),
        Self::V4_0,
        Self::V5_0,
        Self(5, 1),
        Self(5, 2),
        Self(5, 3),
        Self(5, 4),
        Self(5, 5),
        Self::V5_6,
    ];
}

impl fmt::Display for CdiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// What a request says of its version.
pub(crate) enum Asked {
    /// A version that is spoken here.
    Known(CdiVersion),
    /// One that is not, and is not newer either.
    Unknown(String),
}

impl Asked {
    /// The version, for endpoints whose answers depend on it.
    pub(crate) fn known(self) -> Result<CdiVersion, Refusal> {
        match self {
            Self::Known(version) => Ok(version),
            Self::Unknown(text) => Err(not_supported(&text)),
        }
    }
}

/// The version that a request asks for; malformed ones and newer ones are refused at every endpoint.
pub(crate) fn asked(headers: &HeaderMap) -> Result<Asked, Refusal> {
    let Some(value) = headers.get(HEADER) else {
        return Ok(Asked::Known(CdiVersion::NEWEST));
    };
    let text = value.to_str().unwrap_or_default();
    let numbers = numbers(text).ok_or_else(|| Refusal::bad("cdi-version header is invalid"))?;
    if let Some(version) = CdiVersion::ALL.into_iter().find(|it| it.to_string() == text) {
        return Ok(Asked::Known(version));
    }
    let CdiVersion(major, minor) = CdiVersion::NEWEST;
    if numbers.as_slice() > [major, minor].as_slice() {
        return Err(not_supported(text));
    }
    Ok(Asked::Unknown(text.to_owned()))
}

/// Two numbers at least, with dots between; one that is too large is as good as the largest.
fn numbers(text: &str) -> Option<Vec<u64>> {
    let number = |part: &str| {
        let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| part.parse().unwrap_or(u64::MAX))
    };
    let numbers = text.split('.').map(number).collect::<Option<Vec<_>>>()?;
    (numbers.len() >= 2).then_some(numbers)
}

fn not_supported(text: &str) -> Refusal {
    Refusal::bad(format!("cdi-version {text} not supported"))
}
