//! The attributes of cookies that hold for every website.

use super::origin::{cookie_domain, url_path};
use super::reader::{Reader, boolean};
use super::{Api, Origin};

/// Cookie attributes (contract §1.4).
#[derive(Clone, Debug, PartialEq)]
pub struct CookieConfig {
    /// `COOKIE_DOMAIN`, default none: host-only cookies.
    pub domain: Option<String>,
    /// `OLDER_COOKIE_DOMAIN`: the domain before it was changed; `host-only` (or an empty value given
    /// by code) if cookies had no `Domain` then.
    pub older_domain: Option<OlderDomain>,
    /// `COOKIE_SECURE`; by default whether the API is reached by https.
    pub secure: bool,
    /// `COOKIE_PARTITIONED`, default `false`, because the reference never does it: keep cookies apart
    /// by the site that embeds the website in an iframe (CHIPS).
    pub partitioned: bool,
    /// `ACCESS_TOKEN_PATH`, default `/`.
    pub access_token_path: String,
}

/// Where older cookies were valid.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum OlderDomain {
    /// They had no `Domain` attribute.
    HostOnly,
    /// They had this one.
    Domain(String),
}

/// Where a browser keeps a cookie: besides name and path, what it tells cookies apart by.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CookiePlace {
    /// The `Domain`; none for the API's host alone.
    pub domain: Option<String>,
    /// Whether it is `Partitioned`.
    pub is_partitioned: bool,
}

impl CookieConfig {
    pub(super) fn read(read: &mut Reader<'_>, api: &Api) -> Self {
        Self {
            domain: read.optional("COOKIE_DOMAIN", cookie_domain),
            older_domain: read.optional("OLDER_COOKIE_DOMAIN", |text| {
                if text == "host-only" {
                    return Ok(OlderDomain::HostOnly);
                }
                cookie_domain(text).map(OlderDomain::Domain)
            }),
            secure: read.or("COOKIE_SECURE", api.domain.is_https(), boolean),
            partitioned: read.or("COOKIE_PARTITIONED", false, boolean),
            access_token_path: or_root(read.or("ACCESS_TOKEN_PATH", String::new(), url_path)),
        }
    }

    pub(super) fn check(&self, api: &Origin, read: &mut Reader<'_>) {
        if self.secure && !api.is_https() && !api.is_loopback() {
            read.problem(format!(
                "COOKIE_SECURE is true, and {api} is not reached by https: browsers would refuse the \
                 cookies; serve the API by https, or leave COOKIE_SECURE out"
            ));
        }
        if !self.secure && api.is_https() && !api.is_loopback() {
            read.problem(
                "COOKIE_SECURE is false, and the API is reached by https: browsers would also send the \
                 tokens where anybody can read them; leave COOKIE_SECURE out",
            );
        }
        if self.partitioned && !self.secure && !api.is_loopback() {
            read.problem(
                "COOKIE_PARTITIONED needs Secure cookies, or browsers refuse them: serve the API by \
                 https (API_DOMAIN), or leave it out",
            );
        }
        self.check_domains(api, read);
    }

    fn check_domains(&self, api: &Origin, read: &mut Reader<'_>) {
        let host = api.host();
        let domain = self.domain.as_deref();
        let older = match &self.older_domain {
            Some(OlderDomain::Domain(older)) => Some(older.as_str()),
            Some(OlderDomain::HostOnly) | None => None,
        };
        for (name, domain) in [("COOKIE_DOMAIN", domain), ("OLDER_COOKIE_DOMAIN", older)] {
            if let Some(domain) = domain
                && !api.may_set_cookies_for(domain)
            {
                read.problem(format!(
                    "{name} {domain} does not cover the API's host {host}, or strangers share it: \
                     browsers would refuse the cookies; use the host, or a parent domain that is yours"
                ));
            }
        }
        let is_host_only = self.older_domain == Some(OlderDomain::HostOnly);
        let without_dot = |domain: &str| domain.trim_start_matches('.').to_owned();
        let is_same = older.is_some() && older.map(without_dot) == domain.map(without_dot);
        if is_same || (is_host_only && domain.is_none()) {
            read.problem(
                "OLDER_COOKIE_DOMAIN is where cookies are kept now: set it to the domain that was \
                 configured before COOKIE_DOMAIN changed, or leave it out",
            );
        }
    }

    /// Where cookies are kept now.
    #[must_use]
    pub fn place(&self) -> CookiePlace {
        CookiePlace { domain: self.domain.clone(), is_partitioned: self.partitioned }
    }

    /// Where browsers may still keep cookies from before the settings changed: on the older domain,
    /// partitioned or not, and on today's if they were not partitioned then.
    #[must_use]
    pub fn older_places(&self) -> Vec<CookiePlace> {
        let older = self.older_domain.as_ref().map(|older| match older {
            OlderDomain::HostOnly => None,
            OlderDomain::Domain(domain) => Some(domain.clone()),
        });
        let before = self.partitioned.then(|| self.domain.clone());
        let unpartitioned = older.iter().chain(&before).map(|domain| (domain, false));
        let partitioned = older.iter().filter(|_| self.partitioned).map(|domain| (domain, true));
        let places = unpartitioned.chain(partitioned);
        places
            .map(|(domain, is_partitioned)| CookiePlace { domain: domain.clone(), is_partitioned })
            .collect()
    }
}

fn or_root(path: String) -> String {
    if path.is_empty() { "/".to_owned() } else { path }
}
