//! The websites that use the sessions, and which of them a request comes from.

use http::{HeaderMap, header};

use super::{AntiCsrf, Origin, SameSite};

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
    pub(super) is_cross_site: bool,
}

/// `WEBSITE_DOMAIN`, required: the websites' origins, separated by commas.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Websites {
    listed: Vec<Website>,
    other: Website,
}

impl Websites {
    /// Decides for each website what is not set for all.
    ///
    /// # Errors
    ///
    /// A sentence that says which site is not known.
    pub(super) fn new(
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
