//! Which endpoint a path and a method name, and of which application and tenant (core §5).

use http::{Method, StatusCode};
use session::model::TenantId;

use crate::Core;
use crate::answer::Refusal;
use crate::version::CdiVersion;

/// What can be called.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Endpoint {
    Hello,
    ApiVersion,
    Telemetry,
    Config,
    UserId,
    Jwks,
    KeySet,
    CreateJwt,
    Create,
    Read,
    List,
    Remove,
    Verify,
    Refresh,
    Regenerate,
    ReadData,
    ReplaceData,
    ReadClaims,
    ReplaceClaims,
}

use Endpoint::{
    ApiVersion, Config, Create, CreateJwt, Hello, Jwks, KeySet, List, Read, ReadClaims, ReadData,
    Refresh, Regenerate, Remove, ReplaceClaims, ReplaceData, Telemetry, UserId, Verify,
};

impl Endpoint {
    /// What there is at a path, method by method.
    fn at(path: &str) -> Option<&'static [(&'static str, Self)]> {
        Some(match path {
            "/" | "/hello" => &[("GET", Hello), ("POST", Hello), ("PUT", Hello), ("DELETE", Hello)],
            "/apiversion" => &[("GET", ApiVersion)],
            "/telemetry" => &[("GET", Telemetry)],
            "/config" => &[("GET", Config)],
            "/user/id" => &[("GET", UserId)],
            "/.well-known/jwks.json" => &[("GET", Jwks)],
            "/recipe/jwt/jwks" => &[("GET", KeySet)],
            "/recipe/jwt" => &[("POST", CreateJwt)],
            "/recipe/session" => &[("POST", Create), ("GET", Read)],
            "/recipe/session/user" => &[("GET", List)],
            "/recipe/session/remove" => &[("POST", Remove)],
            "/recipe/session/verify" => &[("POST", Verify)],
            "/recipe/session/refresh" => &[("POST", Refresh)],
            "/recipe/session/regenerate" => &[("POST", Regenerate)],
            "/recipe/session/data" => &[("GET", ReadData), ("PUT", ReplaceData)],
            "/recipe/jwt/data" => &[("GET", ReadClaims), ("PUT", ReplaceClaims)],
            _ => return None,
        })
    }

    /// Whether it needs no API key.
    pub(crate) const fn is_open(self) -> bool {
        matches!(self, Hello | Jwks | Config)
    }

    /// Whether its answers depend on the version of the interface.
    pub(crate) const fn needs_version(self) -> bool {
        !matches!(self, Hello | Jwks | Config | ApiVersion)
    }

    /// Whether it is about the whole application, and so not to be asked of a tenant.
    fn is_of_application(self, version: CdiVersion) -> bool {
        match self {
            ApiVersion | Telemetry | Config => true,
            UserId | CreateJwt => version >= CdiVersion::V5_0,
            Verify => version >= CdiVersion::V5_6,
            Hello | Jwks | KeySet | Create | Read | List | Remove | Refresh | Regenerate
            | ReadData | ReplaceData | ReadClaims | ReplaceClaims => false,
        }
    }
}

/// An endpoint, of an application and a tenant.
pub(crate) struct Found {
    pub(crate) endpoint: Endpoint,
    pub(crate) tenant: TenantId,
    /// As the path names it.
    app: Option<String>,
}

/// Finds the endpoint at `[/appid-<application>][/<tenant>]<path>[/]`; the case does not count.
pub(crate) fn find(method: &Method, path: &str) -> Result<Found, Refusal> {
    let path = path.to_ascii_lowercase();
    let path = path.strip_suffix('/').unwrap_or(&path);
    let (app, path) = match path.strip_prefix("/appid-") {
        Some(rest) => {
            let (app, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            (Some(app.to_owned()), path)
        }
        None => (None, path),
    };
    let (tenant, endpoints) = if let Some(endpoints) = Endpoint::at(or_root(path)) {
        (TenantId::public(), endpoints)
    } else {
        of_tenant(path).ok_or_else(not_found)?
    };
    let found = endpoints.iter().find(|(name, _)| *name == method.as_str());
    let Some((_, endpoint)) = found else {
        let allowed: Vec<_> = endpoints.iter().map(|(name, _)| *name).collect();
        return Err(Refusal::method(&allowed.join(", ")));
    };
    Ok(Found { endpoint: *endpoint, tenant, app })
}

/// Words that begin a path and are never a tenant.
const RESERVED: [&str; 4] = ["recipe", "config", "users", "hello"];

fn of_tenant(path: &str) -> Option<(TenantId, &'static [(&'static str, Endpoint)])> {
    let rest = path.strip_prefix('/')?;
    let (tenant, path) = rest.split_at(rest.find('/')?);
    let is_tenant = !tenant.is_empty() && is_name(tenant) && !RESERVED.contains(&tenant);
    is_tenant.then(|| Some((TenantId::new(tenant), Endpoint::at(path)?)))?
}

fn or_root(path: &str) -> &str {
    if path.is_empty() { "/" } else { path }
}

fn is_name(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn not_found() -> Refusal {
    let text = "Not found: this core serves sessions and JWTs, as docs/core.md lists them; other recipes \
                need a core of their own";
    Refusal::new(StatusCode::NOT_FOUND, text)
}

impl Found {
    /// Whether the application is the one that is served here, the tenant is one of its, and may ask for
    /// this.
    pub(crate) fn check<S>(&self, core: &Core<S>, version: CdiVersion) -> Result<(), Refusal> {
        let app_id = &core.sessions.config().app_id;
        let is_served = match self.app.as_deref() {
            None => true,
            Some("" | "public") => app_id == "public",
            Some(app) => app.eq_ignore_ascii_case(app_id),
        };
        // What is not about a tenant comes under the public one, whether or not that has users.
        let names_tenant = !self.is_public() || self.endpoint == Create;
        let is_tenant = core.tenants.as_ref().is_none_or(|tenants| tenants.contains(&self.tenant));
        if !is_served || (names_tenant && !is_tenant) {
            return Err(Refusal::bad(format!(
                "AppId or tenantId not found => Tenant with the following connectionURIDomain, appId \
                 and tenantId combination not found: (, {}, {})",
                self.app.as_deref().unwrap_or_default(),
                self.tenant
            )));
        }
        if self.is_public() || !self.endpoint.is_of_application(version) {
            return Ok(());
        }
        Err(public_only())
    }

    fn is_public(&self) -> bool {
        self.tenant.as_str() == TenantId::PUBLIC
    }
}

/// 403: something about all tenants was asked of one.
pub(crate) fn public_only() -> Refusal {
    let text = "Only public tenantId can call this app specific API";
    Refusal::new(StatusCode::FORBIDDEN, text)
}
