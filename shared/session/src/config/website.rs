//! The websites that use the sessions, and which of them a request comes from.

use http::{HeaderMap, header};

use super::reader::Reader;
use super::{AllowedMethod, Origin, SessionConfig};

/// A website, and how the cookies of its users are guarded (contract §1.4, §4.1).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Website {
    /// Where it is.
    pub origin: Origin,
    /// `COOKIE_SAME_SITE`: `strict`, `lax` or `none`; by default `none` if API and website are on
    /// different sites, else `lax`.
    pub same_site: SameSite,
    /// `ANTI_CSRF`: `NONE`, `VIA_CUSTOM_HEADER` or `VIA_TOKEN`; by default `VIA_CUSTOM_HEADER` if
    /// cookies are `SameSite=None`, else `NONE`.
    pub anti_csrf: AntiCsrf,
    /// Whether the API's cookies are third-party cookies there.
    is_cross_site: bool,
}

/// The `SameSite` attribute, from strictest to none.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum SameSite {
    /// Never sent across sites.
    Strict,
    /// Sent across sites on top-level navigation only.
    #[default]
    Lax,
    /// Sent always; browsers demand `Secure`.
    None,
}

/// What proves that a cookie request comes from the website (contract §4.1), from none to strictest.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum AntiCsrf {
    /// Nothing: `SameSite` does the work.
    #[default]
    None,
    /// Any `rid` header, which no foreign site can send without CORS permission.
    ViaCustomHeader,
    /// The `anti-csrf` header repeats a value bound to the token.
    ViaToken,
}

/// `WEBSITE_DOMAIN`, required: the websites' origins, separated by commas.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Websites {
    listed: Vec<Website>,
    other: Website,
}

impl Website {
    /// What browsers would refuse or keep back there, and what would be left open.
    fn check(&self, config: &SessionConfig, read: &mut Reader<'_>) {
        let (origin, same_site) = (&self.origin, self.same_site);
        if config.transfer.method == AllowedMethod::Cookie && config.is_insecure_cross_site(self) {
            read.problem(format!(
                "cookies for {origin} would be SameSite=None without Secure, which browsers refuse: \
                 serve the API by https (API_DOMAIN), or use TOKEN_TRANSFER_METHOD=header"
            ));
        }
        if self.is_cross_site && same_site != SameSite::None {
            read.problem(format!(
                "COOKIE_SAME_SITE={} keeps the cookies from {origin}, which is another site than {}: \
                 leave it out, set it to none, or use TOKEN_TRANSFER_METHOD=header",
                same_site.as_str().to_lowercase(),
                config.api.domain
            ));
        }
        if same_site == SameSite::None && self.anti_csrf == AntiCsrf::None {
            read.problem(format!(
                "ANTI_CSRF=NONE leaves the cookies of {origin}, which are SameSite=None, open to \
                 requests from any site: leave ANTI_CSRF out, set it to VIA_CUSTOM_HEADER or \
                 VIA_TOKEN, or use TOKEN_TRANSFER_METHOD=header"
            ));
        }
        if config.cookies.partitioned && same_site != SameSite::None {
            read.problem(format!(
                "COOKIE_PARTITIONED is for cookies inside pages of other sites, and those for \
                 {origin} are SameSite={}: set COOKIE_SAME_SITE=none, or leave it out",
                same_site.as_str()
            ));
        }
    }
}

impl Websites {
    pub(super) fn read(read: &mut Reader<'_>, api: &Origin) -> Self {
        let origins = read.required("WEBSITE_DOMAIN", |text| {
            text.split(',')
                .map(|origin| Origin::parse(origin.trim()))
                .collect::<Result<Vec<_>, _>>()
        });
        let same_site = read.optional("COOKIE_SAME_SITE", SameSite::parse);
        let anti_csrf = read.optional("ANTI_CSRF", AntiCsrf::parse);
        // A placeholder that is never seen: without both nothing starts.
        let Some(origins) = origins.filter(|_| !api.host().is_empty()) else {
            return Self::default();
        };
        Self::new(api, origins, same_site, anti_csrf).unwrap_or_else(|problem| {
            read.problem(problem);
            Self::default()
        })
    }

    pub(super) fn check(&self, config: &SessionConfig, read: &mut Reader<'_>) {
        self.listed.iter().for_each(|website| website.check(config, read));
    }

    /// Decides for each website what is not set for all.
    ///
    /// # Errors
    ///
    /// A sentence that says which site is not known.
    fn new(
        api: &Origin,
        origins: Vec<Origin>,
        same_site: Option<SameSite>,
        anti_csrf: Option<AntiCsrf>,
    ) -> Result<Self, String> {
        let website = |origin: Origin| {
            let is_cross_site = api.is_cross_site(&origin)?;
            let default = if is_cross_site { SameSite::None } else { SameSite::Lax };
            let same_site = same_site.unwrap_or(default);
            let default = match same_site {
                SameSite::None => AntiCsrf::ViaCustomHeader,
                SameSite::Lax | SameSite::Strict => AntiCsrf::None,
            };
            let anti_csrf = anti_csrf.unwrap_or(default);
            Ok(Website { origin, same_site, anti_csrf, is_cross_site })
        };
        let listed = origins.into_iter().map(website).collect::<Result<Vec<_>, String>>()?;
        let first = listed.first().ok_or("there is no website")?;
        let strictest = listed.iter().map(|website| website.anti_csrf).max();
        let other = Website { anti_csrf: strictest.unwrap_or(first.anti_csrf), ..first.clone() };
        Ok(Self { listed, other })
    }

    /// The website that a request comes from, by its `Origin`, else its `Referer`.
    ///
    /// A request from elsewhere, or from nowhere that can be told, counts as the first website's, but
    /// with the strictest anti-CSRF mode of all: otherwise a foreign site that withholds its origin
    /// would be asked for no proof where some cookies are `SameSite=None`.
    #[must_use]
    pub fn of(&self, headers: &HeaderMap) -> &Website {
        if let [only] = self.listed.as_slice() {
            return only;
        }
        let named = headers.get(header::ORIGIN).or_else(|| headers.get(header::REFERER));
        let origin = named.and_then(|text| Origin::parse(text.to_str().ok()?).ok());
        let listed = origin.and_then(|origin| self.listed.iter().find(|it| it.origin == origin));
        listed.unwrap_or(&self.other)
    }

    /// All of them, the first one first.
    pub fn iter(&self) -> impl Iterator<Item = &Website> {
        self.listed.iter()
    }
}

impl SameSite {
    fn parse(text: &str) -> Result<Self, String> {
        match text.trim().to_lowercase().as_str() {
            "strict" => Ok(Self::Strict),
            "lax" => Ok(Self::Lax),
            "none" => Ok(Self::None),
            _ => Err("use strict, lax or none".to_owned()),
        }
    }

    /// The attribute's spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "Strict",
            Self::Lax => "Lax",
            Self::None => "None",
        }
    }
}

impl AntiCsrf {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "NONE" => Ok(Self::None),
            "VIA_CUSTOM_HEADER" => Ok(Self::ViaCustomHeader),
            "VIA_TOKEN" => Ok(Self::ViaToken),
            _ => Err("use NONE, VIA_CUSTOM_HEADER or VIA_TOKEN".to_owned()),
        }
    }
}
