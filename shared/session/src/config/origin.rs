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
            return Err(
                "the scheme must be http or https; for apps whose pages have a scheme of their \
                        own, such as capacitor, see \"Mobile apps\" in docs/clients.md"
                    .to_owned(),
            );
        }
        let host = url.host_str().ok_or("there is no host")?.to_owned();
        if host.contains('*') {
            return Err(
                "origins are compared whole, so a wildcard would never match: write out each \
                        origin, with commas between them where several are possible"
                    .to_owned(),
            );
        }
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

    /// Whether it is this machine, which browsers trust with `Secure` cookies even without https.
    pub(super) fn is_loopback(&self) -> bool {
        let is_loopback = |address: Ipv4Addr| address.is_loopback();
        self.host == "localhost"
            || self.host.ends_with(".localhost")
            || self.host.parse().is_ok_and(is_loopback)
    }

    /// Whether cookies of this origin are third-party cookies on `website` (contract §1.4).
    pub(super) fn is_cross_site(&self, website: &Self) -> Result<bool, String> {
        Ok(self.scheme != website.scheme || self.site()? != website.site()?)
    }

    /// The top-level site as browsers see it: the registrable domain, or the whole host where that is
    /// an address, this machine, or a public suffix of AWS.
    fn site(&self) -> Result<String, String> {
        if let Some(domain) = registrable_domain(&self.host) {
            return Ok(domain.to_owned());
        }
        if is_local_host(&self.host) || self.host.ends_with(".amazonaws.com") {
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

/// The part of a host that one party registered: a public suffix and the label before it. Where no
/// suffix is listed, as for names within a company, the last label is one (publicsuffix.org, rule `*`).
/// `None` for a public suffix itself, and for addresses.
fn registrable_domain(host: &str) -> Option<&str> {
    if host.parse::<Ipv4Addr>().is_ok() || host.starts_with('[') {
        return None;
    }
    psl::domain_str(host)
}

/// Whether it is a host that is reached by http unless something else is said.
fn is_local_host(host: &str) -> bool {
    host == "localhost" || host.parse::<Ipv4Addr>().is_ok()
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
