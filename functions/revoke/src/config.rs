//! The settings of this function alone.

use session::config::{ConfigError, Reader};
use session::token::EventIssuer;
use url::{Host, Url};

/// Which identity provider may end sessions.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LogoutConfig {
    /// `LOGOUT_ISSUER`, default none: the `iss` of the provider's tokens as it writes it, below which its
    /// discovery document is. Without it this function has no endpoints.
    ///
    /// `LOGOUT_AUDIENCE`, with commas between: our client id at the provider, and what else it calls us in
    /// `aud`; set with the issuer.
    pub issuer: Option<EventIssuer>,
}

impl LogoutConfig {
    /// Reads the settings through `lookup`; an empty value counts as absent.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with every malformed setting, and if one is set without the other.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut read = Reader::new(&lookup);
        let issuer = match Self::read(&mut read) {
            (Some(issuer), Some(audiences)) => Some(EventIssuer { issuer, audiences }),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => {
                read.problem(
                    "LOGOUT_ISSUER and LOGOUT_AUDIENCE say together whose tokens end sessions: set \
                     both, or neither",
                );
                None
            }
        };
        read.finish(Self { issuer })
    }

    /// Every variable that is read.
    #[must_use]
    pub fn variables() -> Vec<&'static str> {
        Reader::asked_by(Self::read)
    }

    fn read(read: &mut Reader<'_>) -> (Option<String>, Option<Vec<String>>) {
        (read.optional("LOGOUT_ISSUER", issuer), read.optional("LOGOUT_AUDIENCE", audiences))
    }
}

/// Kept as it is written, since it is compared byte by byte. So nothing is accepted that a parser of URLs only
/// mends, such as one slash for two: no provider is called that.
fn issuer(text: &str) -> Result<String, String> {
    let is_whole = text.split_once("://").is_some_and(|(_, rest)| {
        !rest.starts_with('/') && !rest.contains(|c: char| c.is_whitespace() || c == '\\')
    });
    let is_issuer = is_whole
        && Url::parse(text).is_ok_and(|url| {
            let is_this_machine = match url.host() {
                Some(Host::Domain(name)) => name == "localhost",
                Some(Host::Ipv4(address)) => address.is_loopback(),
                Some(Host::Ipv6(address)) => address.is_loopback(),
                None => false,
            };
            let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_this_machine);
            let has_user = !url.username().is_empty() || url.password().is_some();
            is_safe && !has_user && url.query().is_none() && url.fragment().is_none()
        });
    if is_issuer {
        return Ok(text.to_owned());
    }
    Err("write the https address that the provider puts into iss, without ? and #".to_owned())
}

fn audiences(text: &str) -> Result<Vec<String>, String> {
    let names: Vec<_> = text.split(',').map(|name| name.trim().to_owned()).collect();
    if names.iter().any(String::is_empty) {
        return Err("write client ids with commas between".to_owned());
    }
    Ok(names)
}
