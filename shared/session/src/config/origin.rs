//! Where things are: origins, their sites, cookie domains and paths.

use std::fmt;
use std::net::Ipv4Addr;

use url::Url;

/// Scheme, host and port (contract §1.4, `apiDomain`).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Origin {
    scheme: String,
    host: String,
    port: Option<u16>,
}

impl Origin {
    /// Reads a URL or a bare host; the path is dropped. Without a scheme, `http` is assumed for
    /// localhost and IPv4, `https` otherwise.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.to_lowercase();
        let with_scheme = if text.contains("://") {
            text
        } else {
            let host = text.split([':', '/']).next().unwrap_or_default();
            let scheme = if is_local_host(host) { "http" } else { "https" };
            format!("{scheme}://{text}")
        };
        let url = Url::parse(&with_scheme).map_err(|error| format!("not a URL ({error})"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("the scheme must be http or https".to_owned());
        }
        let host = url.host_str().ok_or("there is no host")?.to_owned();
        Ok(Self { scheme: url.scheme().to_owned(), host, port: url.port() })
    }

    /// The host alone.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether it is reached by https.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.scheme == "https"
    }

    /// Whether it is this machine, or an address instead of a name.
    pub(super) fn is_local(&self) -> bool {
        is_local_host(&self.host)
    }

    /// Whether cookies of this origin are third-party cookies on `website` (contract §1.4).
    pub(super) fn is_cross_site(&self, website: &Self) -> Result<bool, String> {
        Ok(self.scheme != website.scheme || self.site()? != website.site()?)
    }

    /// The top-level site: the registrable domain, with the exceptions of contract §1.4.
    fn site(&self) -> Result<String, String> {
        if self.is_local() {
            return Ok("localhost".to_owned());
        }
        if let Some(domain) = registrable_domain(&self.host) {
            return Ok(domain.to_owned());
        }
        // The host is lower case since it was parsed.
        if [".amazonaws.com", ".local"].iter().any(|suffix| self.host.ends_with(suffix)) {
            return Ok(self.host.clone());
        }
        Err(format!(
            "the site of host {:?} is not known: use a name under a public suffix, or localhost",
            self.host
        ))
    }

    /// Whether browsers accept cookies of this origin with that `Domain`.
    ///
    /// It must be the host or a parent of it, and not one that strangers share, such as `co.uk`.
    pub(super) fn may_set_cookies_for(&self, domain: &str) -> bool {
        let domain = domain.trim_start_matches('.');
        let is_within =
            |host: &str, parent: &str| host.strip_suffix(parent).is_some_and(|h| h.ends_with('.'));
        if self.host == domain {
            return true;
        }
        let own = registrable_domain(&self.host);
        is_within(&self.host, domain)
            && own.is_none_or(|own| domain == own || is_within(domain, own))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// The part of a host that one party registered; `None` without a listed public suffix.
fn registrable_domain(host: &str) -> Option<&str> {
    psl::suffix(host.as_bytes()).filter(psl::Suffix::is_known)?;
    psl::domain_str(host)
}

fn is_local_host(host: &str) -> bool {
    host.starts_with("localhost") || host.parse::<Ipv4Addr>().is_ok()
}

/// Normalises a cookie domain: host only, lower case, a leading dot kept except where it is
/// meaningless (contract §1.4).
pub(super) fn cookie_domain(text: &str) -> Result<String, String> {
    let text = text.to_lowercase();
    let (had_dot, rest) =
        text.strip_prefix('.').map_or((false, text.as_str()), |rest| (true, rest));
    let host = Origin::parse(rest)?.host;
    Ok(if had_dot && !is_local_host(&host) { format!(".{host}") } else { host })
}

/// Normalises a URL path: leading slash, no trailing one, the root becomes empty; case is kept.
pub(super) fn url_path(text: &str) -> Result<String, String> {
    let path = match text.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
        None => text,
    };
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let path = path.trim_start_matches('/').trim_end_matches('/');
    if path.bytes().any(|byte| byte <= b' ' || byte >= 0x7f || byte == b';') {
        return Err("not a URL path".to_owned());
    }
    Ok(if path.is_empty() { String::new() } else { format!("/{path}") })
}
