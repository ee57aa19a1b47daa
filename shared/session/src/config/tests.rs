//! Every setting: its default, its form, and what it must not be combined with.

use std::time::Duration;

use http::HeaderMap;

use super::*;

fn config(settings: &[(&str, &str)]) -> Result<SessionConfig, ConfigError> {
    let defaults =
        [("API_DOMAIN", "https://api.example.com"), ("WEBSITE_DOMAIN", "https://example.com")];
    SessionConfig::from_lookup(|name| {
        let mut all = settings.iter().chain(&defaults);
        all.find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    })
}

fn problems(settings: &[(&str, &str)]) -> Vec<String> {
    config(settings).unwrap_err().problems
}

fn refused(settings: &[(&str, &str)], reason: &str) {
    let problems = problems(settings);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(problems[0].contains(reason), "{problems:#?}");
}

/// The settings for the website that a request with this header comes from.
fn for_request<'c>(config: &'c SessionConfig, name: &'static str, value: &str) -> &'c Website {
    let mut headers = HeaderMap::new();
    headers.insert(name, value.parse().unwrap());
    config.websites.of(&headers)
}

const OTHER_SITE: (&str, &str) = ("WEBSITE_DOMAIN", "https://other.com");
const TWO_SITES: (&str, &str) = ("WEBSITE_DOMAIN", "https://example.com, https://other.com:8443");
const INSECURE_API: (&str, &str) = ("API_DOMAIN", "http://api.example.com");
const INSECURE_WEBSITE: (&str, &str) = ("WEBSITE_DOMAIN", "http://example.com");
const HEADERS_ONLY: (&str, &str) = ("TOKEN_TRANSFER_METHOD", "header");

#[test]
fn one_site_gives_lax_secure_cookies_and_no_anti_csrf() {
    let config = config(&[]).unwrap();
    let website = config.websites.of(&HeaderMap::new());
    assert_eq!(website.same_site, SameSite::Lax);
    assert_eq!(website.anti_csrf, AntiCsrf::None);
    assert!(config.cookies.secure);
    assert_eq!(config.api.issuer(), "https://api.example.com/auth");
}

#[test]
fn the_default_gateway_host_is_another_site() {
    let host = "https://abc.execute-api.eu-west-1.amazonaws.com";
    let config = config(&[("API_DOMAIN", host)]).unwrap();
    let website = config.websites.of(&HeaderMap::new());
    assert_eq!(website.same_site, SameSite::None);
    assert_eq!(website.anti_csrf, AntiCsrf::ViaCustomHeader);
}

/// Two sites for browsers, which take `Secure` cookies from this machine without https.
#[test]
fn a_loopback_name_and_a_loopback_address_are_two_sites() {
    let cookies = |api, website| {
        let config = config(&[("API_DOMAIN", api), ("WEBSITE_DOMAIN", website)]).unwrap();
        let website = config.websites.of(&HeaderMap::new()).clone();
        let is_refused = config.is_insecure_cross_site(&website);
        (website.same_site, config.is_secure(website.same_site), is_refused)
    };
    let (lax, none) = (SameSite::Lax, SameSite::None);
    for (api, website, expected) in [
        ("http://localhost:3001", "http://localhost:3000", (lax, false, false)),
        ("http://127.0.0.1:3001", "http://127.0.0.1:3000", (lax, false, false)),
        ("http://localhost:3001", "http://127.0.0.1:3000", (none, true, false)),
        ("http://127.0.0.1:3001", "http://localhost:3000", (none, true, false)),
        ("http://192.168.1.5:3001", "http://192.168.1.6:3000", (none, false, true)),
    ] {
        assert_eq!(cookies(api, website), expected, "{api} for {website}");
    }
}

/// Where no public suffix is listed, the last label is one (publicsuffix.org), as browsers have it.
#[test]
fn names_under_unlisted_top_level_domains_have_a_site() {
    let (lax, none) = (SameSite::Lax, SameSite::None);
    for (api, website, expected) in [
        ("http://api.app.localhost:3000", "http://app.localhost:3000", lax),
        ("http://api.myapp.test", "http://myapp.test", lax),
        ("https://api.corp.internal", "https://app.corp.internal", lax),
        ("http://host.docker.internal:3000", "http://host.docker.internal:5173", lax),
        ("http://api.printer.local", "http://printer.local", lax),
        ("https://api.corp.internal", "https://app.other.internal", none),
    ] {
        let config = config(&[("API_DOMAIN", api), ("WEBSITE_DOMAIN", website)]).unwrap();
        let same_site = config.websites.of(&HeaderMap::new()).same_site;
        assert_eq!(same_site, expected, "{api} for {website}");
    }
    let internal = ("API_DOMAIN", "https://api.corp.internal");
    let website = ("WEBSITE_DOMAIN", "https://corp.internal");
    assert!(config(&[internal, website, ("COOKIE_DOMAIN", ".corp.internal")]).is_ok());
    refused(&[internal, website, ("COOKIE_DOMAIN", ".internal")], "strangers share it");
}

#[test]
fn a_wildcard_is_refused_because_it_would_never_match() {
    for origin in ["*", "https://*.example.com", "https://example.com,https://*"] {
        refused(&[("WEBSITE_DOMAIN", origin)], "a wildcard would never match");
    }
    refused(&[("API_DOMAIN", "https://*.example.com")], "a wildcard would never match");
}

#[test]
fn a_page_of_an_app_with_a_scheme_of_its_own_is_told_the_way_that_works() {
    for scheme in ["capacitor", "ionic", "chrome-extension"] {
        let origins = format!("https://example.com,{scheme}://localhost");
        refused(&[("WEBSITE_DOMAIN", &origins)], "\"Mobile apps\" in docs/clients.md");
    }
}

/// A refresh token names its master key by one byte.
#[test]
fn more_master_keys_at_once_than_tokens_can_name_are_refused() {
    let daily = ("MASTER_KEY_ROTATION_SECONDS", "86400");
    refused(&[daily, ("REFRESH_TOKEN_TTL_SECONDS", "34560000")], "402 master keys");
    refused(&[daily, ("REFRESH_TOKEN_TTL_SECONDS", "20649600")], "241 master keys");
    assert!(config(&[daily, ("REFRESH_TOKEN_TTL_SECONDS", "20563200")]).is_ok());
    assert!(config(&[("REFRESH_TOKEN_TTL_SECONDS", "34560000")]).is_ok());
}

#[test]
fn each_of_several_websites_gets_what_its_own_site_asks_for() {
    let config = config(&[TWO_SITES]).unwrap();
    for (name, value, same_site, anti_csrf) in [
        ("origin", "https://example.com", SameSite::Lax, AntiCsrf::None),
        ("referer", "https://example.com/page?x", SameSite::Lax, AntiCsrf::None),
        ("origin", "https://other.com:8443", SameSite::None, AntiCsrf::ViaCustomHeader),
        ("referer", "https://other.com:8443/", SameSite::None, AntiCsrf::ViaCustomHeader),
    ] {
        let website = for_request(&config, name, value);
        assert_eq!((website.same_site, website.anti_csrf), (same_site, anti_csrf), "{value}");
    }
}

#[test]
fn a_request_from_elsewhere_gets_the_first_websites_cookies_and_the_strictest_anti_csrf() {
    let config = config(&[TWO_SITES]).unwrap();
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("origin", "https://other.com"),
        ("origin", "http://example.com"),
        ("origin", "null"),
        ("x-nothing", "said"),
    ] {
        let website = for_request(&config, name, value);
        assert_eq!(website.same_site, SameSite::Lax, "{value}");
        assert_eq!(website.anti_csrf, AntiCsrf::ViaCustomHeader, "{value}");
    }
}

#[test]
fn an_origin_is_compared_whole_and_as_browsers_write_it() {
    let config = config(&[TWO_SITES]).unwrap();
    for text in [
        "https://example.com.evil.example",
        "https://example.com@evil.example",
        "https://evil.example/https://example.com",
        "https://sub.example.com",
        "https://example.com:8443",
        "https://[::1",
        "https://",
        "file:///",
        "",
    ] {
        let website = for_request(&config, "origin", text);
        assert_eq!(website.anti_csrf, AntiCsrf::ViaCustomHeader, "{text}");
    }
    let standard_port = for_request(&config, "origin", "https://example.com:443");
    assert_eq!(standard_port.anti_csrf, AntiCsrf::None);
}

#[test]
fn an_origin_counts_more_than_a_referer() {
    let config = config(&[TWO_SITES]).unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("origin", "https://evil.example".parse().unwrap());
    headers.insert("referer", "https://example.com/".parse().unwrap());
    assert_eq!(config.websites.of(&headers).anti_csrf, AntiCsrf::ViaCustomHeader);
}

#[test]
fn what_is_set_for_cookies_holds_for_every_website() {
    let set = [TWO_SITES, ("COOKIE_SAME_SITE", "none"), ("ANTI_CSRF", "VIA_TOKEN")];
    let config = config(&set).unwrap();
    for website in config.websites.iter() {
        assert_eq!(website.same_site, SameSite::None);
        assert_eq!(website.anti_csrf, AntiCsrf::ViaToken);
    }
}

#[test]
fn every_website_must_be_an_origin_of_a_known_site() {
    refused(&[("WEBSITE_DOMAIN", "https://example.com,ftp://x")], "the scheme must be");
    refused(&[("WEBSITE_DOMAIN", "https://example.com,")], "not a URL");
    refused(&[("WEBSITE_DOMAIN", "https://example.com,https://intranet")], "is not known");
}

#[test]
fn paths_and_cookie_domains_are_normalised() {
    let config = config(&[
        ("API_GATEWAY_PATH", "/dev"),
        ("ACCESS_TOKEN_PATH", "/foo/"),
        ("COOKIE_DOMAIN", ".Example.com"),
        ("OLDER_COOKIE_DOMAIN", "https://api.example.com:80/x"),
        ("COOKIE_SAME_SITE", " Strict "),
    ])
    .unwrap();
    assert_eq!(config.api.base_path, "/dev/auth");
    assert_eq!(config.cookies.access_token_path, "/foo");
    assert_eq!(config.cookies.domain.as_deref(), Some(".example.com"));
    let older = Some(OlderDomain::Domain("api.example.com".to_owned()));
    assert_eq!(config.cookies.older_domain, older);
    assert_eq!(config.websites.of(&HeaderMap::new()).same_site, SameSite::Strict);
}

#[test]
fn every_problem_is_reported_at_once_with_its_remedy() {
    let problems = problems(&[
        ("API_DOMAIN", "ftp://x"),
        ("ANTI_CSRF", "maybe"),
        ("ACCESS_TOKEN_TTL_SECONDS", "0"),
        ("SESSION_EXPIRED_STATUS_CODE", "403"),
    ]);
    assert_eq!(problems.len(), 4, "{problems:#?}");
}

#[test]
fn the_number_of_sessions_is_limited_if_at_all_to_one_up_to_a_thousand() {
    assert_eq!(config(&[]).unwrap().lifetimes.sessions_per_user, None);
    for (text, expected) in [("1", Some(1)), ("1000", Some(1000))] {
        assert_eq!(
            config(&[("SESSION_LIMIT_PER_USER", text)]).unwrap().lifetimes.sessions_per_user,
            expected
        );
    }
    for text in ["0", "1001", "many"] {
        assert_eq!(problems(&[("SESSION_LIMIT_PER_USER", text)]).len(), 1, "{text}");
    }
}

#[test]
fn the_name_of_an_application_can_be_part_of_a_key() {
    assert_eq!(config(&[]).unwrap().app_id, "public");
    let longest = "x".repeat(64);
    for name in ["shop-2", "Shop_2", &longest] {
        assert_eq!(config(&[("APP_ID", name)]).unwrap().app_id, name);
    }
    for name in ["a#b", "a b", "é", "a*", &"x".repeat(65)] {
        refused(&[("APP_ID", name)], "letters, digits, hyphens and underscores");
    }
}

#[test]
fn a_missing_domain_is_named() {
    let error = SessionConfig::from_lookup(|_| None).unwrap_err().to_string();
    assert!(error.contains("API_DOMAIN is missing"), "{error}");
    assert!(error.contains("WEBSITE_DOMAIN is missing"), "{error}");
}

#[test]
fn a_cookie_domain_that_does_not_cover_the_api_is_refused() {
    refused(&[("COOKIE_DOMAIN", "ample.com")], "COOKIE_DOMAIN ample.com does not cover");
    refused(&[("OLDER_COOKIE_DOMAIN", "other.com")], "OLDER_COOKIE_DOMAIN other.com does not");
}

#[test]
fn a_cookie_domain_that_strangers_share_is_refused() {
    refused(&[("COOKIE_DOMAIN", ".com")], "strangers share it");
    let gateway = ("API_DOMAIN", "https://abc.execute-api.eu-west-1.amazonaws.com");
    refused(&[gateway, ("COOKIE_DOMAIN", "amazonaws.com")], "strangers share it");
    assert!(config(&[gateway, ("COOKIE_DOMAIN", gateway.1)]).is_ok());
}

#[test]
fn an_older_cookie_domain_that_is_todays_is_refused() {
    let now = ("COOKIE_DOMAIN", "example.com");
    refused(&[now, ("OLDER_COOKIE_DOMAIN", ".example.com")], "where cookies are kept now");
    refused(&[("OLDER_COOKIE_DOMAIN", "host-only")], "where cookies are kept now");
    assert!(config(&[now, ("OLDER_COOKIE_DOMAIN", "host-only")]).is_ok());
}

#[test]
fn access_tokens_that_end_within_a_flight_are_refused() {
    let flight = ("REFRESH_FLIGHT_SECONDS", "30");
    refused(&[("ACCESS_TOKEN_TTL_SECONDS", "31"), flight], "REFRESH_FLIGHT_SECONDS (30)");
    assert!(config(&[("ACCESS_TOKEN_TTL_SECONDS", "32"), flight]).is_ok());
}

#[test]
fn a_flight_follows_the_life_of_access_tokens_unless_it_is_set() {
    let flight = |set: &[_]| config(set).unwrap().refresh.flight().as_secs();
    assert_eq!(flight(&[]), 30);
    assert_eq!(flight(&[("ASSURANCE_LEVEL", "aal3")]), 15);
    assert_eq!(flight(&[("ACCESS_TOKEN_TTL_SECONDS", "60")]), 3);
    assert_eq!(flight(&[("ACCESS_TOKEN_TTL_SECONDS", "60"), ("REFRESH_FLIGHT_SECONDS", "30")]), 30);
}

#[test]
fn cookies_that_browsers_refuse_are_refused_at_start() {
    let cookies = ("TOKEN_TRANSFER_METHOD", "cookie");
    refused(&[INSECURE_API, cookies], "SameSite=None without Secure");
    refused(&[INSECURE_API, INSECURE_WEBSITE, ("COOKIE_SECURE", "true")], "refuse the cookies");
    // Browsers make an exception for this machine.
    let local = ("API_DOMAIN", "http://localhost:3001");
    let secure = [local, ("WEBSITE_DOMAIN", "http://localhost"), ("COOKIE_SECURE", "true")];
    assert!(config(&secure).is_ok());
}

#[test]
fn cookies_that_would_travel_in_the_clear_are_refused() {
    refused(&[("COOKIE_SECURE", "false")], "where anybody can read them");
    assert!(config(&[("COOKIE_SECURE", "false"), HEADERS_ONLY]).is_ok());
}

#[test]
fn cookies_that_never_reach_the_website_are_refused() {
    refused(&[OTHER_SITE, ("COOKIE_SAME_SITE", "lax")], "keeps the cookies from https://other.com");
    refused(&[TWO_SITES, ("COOKIE_SAME_SITE", "strict")], "keeps the cookies from https://other");
    assert!(config(&[OTHER_SITE, ("COOKIE_SAME_SITE", "lax"), HEADERS_ONLY]).is_ok());
}

#[test]
fn cookies_that_any_site_could_use_are_refused() {
    refused(&[OTHER_SITE, ("ANTI_CSRF", "NONE")], "open to requests from any site");
    refused(&[("COOKIE_SAME_SITE", "none"), ("ANTI_CSRF", "NONE")], "open to requests");
    assert!(config(&[OTHER_SITE, ("ANTI_CSRF", "NONE"), HEADERS_ONLY]).is_ok());
}

#[test]
fn an_anti_csrf_token_without_cookies_is_refused() {
    refused(&[HEADERS_ONLY, ("ANTI_CSRF", "VIA_TOKEN")], "allows none");
}

#[test]
fn partitioned_cookies_must_be_same_site_none_and_secure() {
    let partitioned = ("COOKIE_PARTITIONED", "true");
    assert!(config(&[OTHER_SITE, partitioned]).unwrap().cookies.partitioned);
    refused(&[partitioned], "are SameSite=Lax");
    refused(&[TWO_SITES, partitioned], "those for https://example.com are SameSite=Lax");
    refused(&[INSECURE_API, partitioned], "needs Secure");
    assert!(!config(&[OTHER_SITE]).unwrap().cookies.partitioned);
}

#[test]
fn older_cookies_may_be_anywhere_that_the_settings_tell_of() {
    let places = |settings: &[(&str, &str)]| {
        let places = config(settings).unwrap().cookies.older_places();
        let text = places.into_iter().map(|place| (place.domain, place.is_partitioned));
        text.collect::<Vec<_>>()
    };
    let older = ("OLDER_COOKIE_DOMAIN", "example.com");
    let older_domain = Some("example.com".to_owned());
    assert_eq!(places(&[]), []);
    assert_eq!(places(&[older]), [(older_domain.clone(), false)]);
    let partitioned = [OTHER_SITE, ("COOKIE_PARTITIONED", "true")];
    assert_eq!(places(&partitioned), [(None, false)]);
    let both = [OTHER_SITE, ("COOKIE_PARTITIONED", "true"), older];
    let expected = [(older_domain.clone(), false), (None, false), (older_domain, true)];
    assert_eq!(places(&both), expected);
}

#[test]
fn assurance_levels_set_the_lifetimes_of_the_standard() {
    // NIST SP 800-63B-4 §5: overall and idle time, in seconds; the last is our access token's.
    for (level, expected) in [
        ("aal1", [30 * 86_400, 30 * 86_400, 3600]),
        ("aal2", [86_400, 3600, 900]),
        ("aal3", [43_200, 900, 300]),
    ] {
        let config = config(&[("ASSURANCE_LEVEL", level)]).unwrap();
        let absolute = config.lifetimes.absolute.unwrap();
        let set = [absolute, config.lifetimes.refresh_token, config.lifetimes.access_token];
        assert_eq!(set.map(|ttl| ttl.as_secs()), expected, "{level}");
    }
    refused(&[("ASSURANCE_LEVEL", "aal4")], "use aal1, aal2 or aal3");
}

#[test]
fn an_assurance_level_can_be_tightened_and_not_weakened() {
    let level = ("ASSURANCE_LEVEL", "aal2");
    refused(&[level, ("SESSION_ABSOLUTE_TTL_SECONDS", "86401")], "set at most 86400");
    refused(&[level, ("REFRESH_TOKEN_TTL_SECONDS", "3601")], "set at most 3600");
    refused(&[level, ("ACCESS_TOKEN_TTL_SECONDS", "3600")], "before it is first refreshed");
    let tight = [level, ("SESSION_ABSOLUTE_TTL_SECONDS", "1800")];
    let config = config(&tight).unwrap();
    assert_eq!(config.lifetimes.absolute, Some(Duration::from_mins(30)));
    assert_eq!(config.lifetimes.refresh_token, Duration::from_mins(30));
}

#[test]
fn a_session_must_outlive_its_idle_time_and_its_first_access_token() {
    let day = ("SESSION_ABSOLUTE_TTL_SECONDS", "86400");
    refused(&[day, ("REFRESH_TOKEN_TTL_SECONDS", "86401")], "every session is over before");
    assert_eq!(config(&[day]).unwrap().lifetimes.refresh_token, Duration::from_hours(24));
    refused(&[("SESSION_ABSOLUTE_TTL_SECONDS", "3600")], "before it is first refreshed");
}

#[test]
fn device_binding_is_refused_where_browsers_would_not_bind() {
    for on in ["report", "require"] {
        let binding = ("DEVICE_BINDING", on);
        refused(
            &[binding, OTHER_SITE, ("COOKIE_PARTITIONED", "true")],
            "leave COOKIE_PARTITIONED out",
        );
        refused(&[binding, INSECURE_API, INSECURE_WEBSITE], "serve the API by https");
        assert!(config(&[binding, INSECURE_API, INSECURE_WEBSITE, HEADERS_ONLY]).is_ok());
        let local =
            [("API_DOMAIN", "http://localhost:3001"), ("WEBSITE_DOMAIN", "http://localhost")];
        assert!(config(&[binding, local[0], local[1]]).is_ok());
    }
    assert!(config(&[OTHER_SITE, ("COOKIE_PARTITIONED", "true")]).is_ok(), "off is the default");
    refused(&[("DEVICE_BINDING", "yes")], "use off, report or require");
    refused(&[("DPOP_NONCE", "true")], "set DEVICE_BINDING=require, or leave DPOP_NONCE out");
    assert!(config(&[("DPOP_NONCE", "true"), ("DEVICE_BINDING", "report")]).is_ok());
    refused(&[("DEVICE_PROOF_TTL_SECONDS", "4")], "use a whole number from 5 to 600");
}
