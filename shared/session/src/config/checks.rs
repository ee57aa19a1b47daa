//! Combinations of settings that cannot work, or would not be safe: each with its remedy.

use super::{AllowedMethod, AntiCsrf, OlderDomain, SameSite, SessionConfig};

impl SessionConfig {
    pub(super) fn cross_check(&self, problems: &mut Vec<String>) {
        self.check_statuses(problems);
        self.check_flight(problems);
        if self.base_path.is_empty() {
            problems.push(
                "API_BASE_PATH must not be the root: the refresh cookie's path would cover \
                 everything; use a path such as /auth"
                    .to_owned(),
            );
        }
        if self.transfer_method == AllowedMethod::Header {
            self.check_without_cookies(problems);
        } else if !self.api_domain.host().is_empty() {
            self.check_cookies(problems);
            self.check_cookie_domains(problems);
        }
    }

    fn check_statuses(&self, problems: &mut Vec<String>) {
        if self.session_expired_status == self.invalid_claim_status {
            problems.push(format!(
                "SESSION_EXPIRED_STATUS_CODE and INVALID_CLAIM_STATUS_CODE are both {}: clients tell \
                 the two cases apart by status, so choose different ones",
                self.session_expired_status.as_u16()
            ));
        }
    }

    fn check_flight(&self, problems: &mut Vec<String>) {
        // The refresh rule takes for granted that a browser does not refresh what it has just stored;
        // the life of access tokens sees to it, jitter included (docs/rotation.md).
        if self.access_token_ttl * 95 / 100 < self.refresh.flight() {
            problems.push(format!(
                "ACCESS_TOKEN_TTL_SECONDS less 5 % must not be below REFRESH_FLIGHT_SECONDS ({}): \
                 otherwise clients refresh again while a refresh may still be under way; lower the latter",
                self.refresh.flight().as_secs()
            ));
        }
    }

    fn check_without_cookies(&self, problems: &mut Vec<String>) {
        if self.websites.iter().any(|website| website.anti_csrf == AntiCsrf::ViaToken) {
            problems.push(
                "ANTI_CSRF=VIA_TOKEN guards cookies, and TOKEN_TRANSFER_METHOD=header allows none: leave \
                 one of them out"
                    .to_owned(),
            );
        }
    }

    fn check_cookies(&self, problems: &mut Vec<String>) {
        let cookies = &self.cookies;
        let is_local = self.api_domain.is_local();
        if cookies.secure && !self.api_domain.is_https() && !is_local {
            problems.push(format!(
                "COOKIE_SECURE is true, and {} is not reached by https: browsers would refuse the \
                 cookies; serve the API by https, or leave COOKIE_SECURE out",
                self.api_domain
            ));
        }
        if !cookies.secure && self.api_domain.is_https() && !is_local {
            problems.push(
                "COOKIE_SECURE is false, and the API is reached by https: browsers would also send the \
                 tokens where anybody can read them; leave COOKIE_SECURE out"
                    .to_owned(),
            );
        }
        for website in self.websites.iter() {
            let (origin, same_site) = (&website.origin, website.same_site);
            if self.transfer_method == AllowedMethod::Cookie && self.is_insecure_cross_site(website)
            {
                problems.push(format!(
                    "cookies for {origin} would be SameSite=None without Secure, which browsers refuse: \
                     serve the API by https (API_DOMAIN), or use TOKEN_TRANSFER_METHOD=header"
                ));
            }
            if website.is_cross_site && same_site != SameSite::None {
                problems.push(format!(
                    "COOKIE_SAME_SITE={} keeps the cookies from {origin}, which is another site than {}: \
                     leave it out, set it to none, or use TOKEN_TRANSFER_METHOD=header",
                    same_site.as_str().to_lowercase(),
                    self.api_domain
                ));
            }
            if same_site == SameSite::None && website.anti_csrf == AntiCsrf::None {
                problems.push(format!(
                    "ANTI_CSRF=NONE leaves the cookies of {origin}, which are SameSite=None, open to \
                     requests from any site: leave ANTI_CSRF out, set it to VIA_CUSTOM_HEADER or \
                     VIA_TOKEN, or use TOKEN_TRANSFER_METHOD=header"
                ));
            }
            if cookies.partitioned && same_site != SameSite::None {
                problems.push(format!(
                    "COOKIE_PARTITIONED is for cookies inside pages of other sites, and those for \
                     {origin} are SameSite={}: set COOKIE_SAME_SITE=none, or leave it out",
                    same_site.as_str()
                ));
            }
        }
        if cookies.partitioned && !cookies.secure {
            problems.push(
                "COOKIE_PARTITIONED needs Secure cookies, or browsers refuse them: serve the API by \
                 https (API_DOMAIN), or leave it out"
                    .to_owned(),
            );
        }
    }

    fn check_cookie_domains(&self, problems: &mut Vec<String>) {
        let host = self.api_domain.host();
        let domain = self.cookies.domain.as_deref();
        let older = match &self.cookies.older_domain {
            Some(OlderDomain::Domain(older)) => Some(older.as_str()),
            Some(OlderDomain::HostOnly) | None => None,
        };
        for (name, domain) in [("COOKIE_DOMAIN", domain), ("OLDER_COOKIE_DOMAIN", older)] {
            if let Some(domain) = domain
                && !self.api_domain.may_set_cookies_for(domain)
            {
                problems.push(format!(
                    "{name} {domain} does not cover the API's host {host}, or strangers share it: \
                     browsers would refuse the cookies; use the host, or a parent domain that is yours"
                ));
            }
        }
        let is_host_only = self.cookies.older_domain == Some(OlderDomain::HostOnly);
        let without_dot = |domain: &str| domain.trim_start_matches('.').to_owned();
        let is_same = older.is_some() && older.map(without_dot) == domain.map(without_dot);
        if is_same || (is_host_only && domain.is_none()) {
            problems.push(
                "OLDER_COOKIE_DOMAIN is where cookies are kept now: set it to the domain that was \
                 configured before COOKIE_DOMAIN changed, or leave it out"
                    .to_owned(),
            );
        }
    }
}
