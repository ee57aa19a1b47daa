//! The functions, the example application and the gateway, put together.

use std::convert::Infallible;
use std::future::ready;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use authorizer::AuthorizerConfig;
use aws_sdk_dynamodb::Client;
use bytes::Bytes;
use core_driver::{Access as CoreAccess, Core, CoreConfig};
use create_session::CreateConfig;
use http::{Method, Request, Response};
use serde_json::json;
use session::http::Endpoint;
use session::model::Clock;
use session::store::DynamoDb;
use session::{SessionConfig, Sessions};

use crate::dynamodb::{create_tables, store_of};
use crate::example;
use crate::function::{Function, Language};
use crate::function_url::FunctionUrl;
use crate::gateway::{Access, Cors, Gateway};
use crate::invoke::InvokeApi;
use crate::page;

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");

/// A function behind HTTP whose handler takes the session service and the clock.
macro_rules! http_function {
    ($sessions:expr, $clock:expr, $handler:path) => {{
        let (sessions, clock) = ($sessions, Arc::clone($clock));
        Function::http(move |request| {
            let (sessions, clock) = (Arc::clone(&sessions), Arc::clone(&clock));
            async move { $handler(&sessions, &clock, request).await }
        })
    }};
}

/// Where the core's function URL is on this machine.
pub const CORE_PATH: &str = "/core";

/// The stack: one value answers every request that a browser sends.
#[derive(Debug)]
pub struct Stack {
    gateway: Gateway,
    /// The API of the documents that pages of any origin may read, to which the domain maps their paths.
    documents: Gateway,
    config: SessionConfig,
    core: FunctionUrl,
    functions: Functions,
}

/// The functions that are deployed, to be invoked with events of one's own.
#[derive(Debug)]
pub struct Functions {
    /// The authorizer.
    pub authorizer: Function,
    /// `POST {base}/session/refresh`.
    pub refresh: Function,
    /// `POST {base}/signout`.
    pub signout: Function,
    /// `GET` and `DELETE {base}/sessions`.
    pub sessions: Function,
    /// Key set and discovery.
    pub jwks: Function,
    /// The life cycle of keys.
    pub rotate_keys: Function,
    /// The Core Driver Interface.
    pub core: Function,
    /// Sessions for sign-in code in any language.
    pub create_session: Function,
}

impl Stack {
    /// Makes tables and first keys if there are none, and wires everything to them.
    ///
    /// Every function gets its own [`Sessions`], and so its own keys in memory, as it has its own
    /// process on AWS.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn start(
        config: &SessionConfig,
        authorizer: AuthorizerConfig,
        core_config: CoreConfig,
        client: Client,
        clock: Arc<dyn Clock>,
        cors: Option<Cors>,
    ) -> anyhow::Result<Self> {
        Self::start_with(config, authorizer, core_config, client, clock, cors, |gateway| gateway)
            .await
    }

    /// As [`Self::start`], with an application's own routes on the same gateway.
    ///
    /// # Errors
    ///
    /// Also if a route of the application cannot be told apart from another.
    pub async fn start_with(
        config: &SessionConfig,
        authorizer: AuthorizerConfig,
        core_config: CoreConfig,
        client: Client,
        clock: Arc<dyn Clock>,
        cors: Option<Cors>,
        application: impl FnOnce(Gateway) -> Gateway,
    ) -> anyhow::Result<Self> {
        create_tables(&client).await?;
        let store = store_of(client, &config.app_id);
        let sessions = || Arc::new(Sessions::new(config.clone(), store.clone()));
        let rotate_keys = rotate_keys(sessions(), Arc::clone(&clock));
        // As the schedule does when it is deployed.
        rotate_keys
            .invoke(json!({}))
            .await
            .map_err(|error| anyhow::anyhow!(error.error_message))?;

        let authorizer = {
            let sessions = Sessions::new(config.clone(), store.clone().read_only());
            let parts = Arc::new((sessions, authorizer, Arc::clone(&clock)));
            Function::new(move |event| {
                let parts = Arc::clone(&parts);
                async move {
                    let (sessions, config, clock) = parts.as_ref();
                    authorizer::handle(sessions, config, clock, event).await
                }
            })
        };
        let refresh = http_function!(sessions(), &clock, refresh::handle);
        let signout = http_function!(sessions(), &clock, signout::handle);
        let jwks = http_function!(sessions(), &clock, jwks::handle);
        let own_sessions = http_function!(sessions(), &clock, sessions::handle);
        let sessions_of_core = Sessions::new(config.clone(), store.clone());
        let driver = core(sessions_of_core, core_config, Arc::clone(&clock));
        let create_session = create_session(sessions(), Arc::clone(&clock));
        let sign_in = http_function!(sessions(), &clock, example::sign_in);
        let visitor = http_function!(sessions(), &clock, example::visitor);
        let likes = AtomicU64::new(0);
        let like = Function::http(move |_| ready(example::like(&likes)));
        let shown = config.clone();
        let settings = Function::http(move |_| ready(example::settings(&shown)));

        let base = &config.api.base_path;
        let mut gateway = application(Gateway::new(authorizer.clone(), cors));
        let mut documents = Gateway::new(authorizer.clone(), None);
        for tenant in ["", "/{tenantId}"] {
            for endpoint in Endpoint::ALL {
                let path = format!("{base}{tenant}{}", endpoint.path());
                let function = match endpoint {
                    Endpoint::Refresh | Endpoint::Device | Endpoint::DeviceRegistration => &refresh,
                    Endpoint::SignOut => &signout,
                    Endpoint::Sessions | Endpoint::OtherSessions | Endpoint::OneSession => {
                        &own_sessions
                    }
                    Endpoint::Jwks | Endpoint::Discovery => &jwks,
                };
                let api = if endpoint.is_public() { &mut documents } else { &mut gateway };
                api.add(endpoint.method(), &path, Access::Public, function);
            }
        }
        let copy = format!("{}/copy", Endpoint::Refresh.path_in(config));
        let copy_refresh_token =
            Function::http(|request| ready(example::copy_refresh_token(&request)));
        let me = Function::http(|request| ready(example::me(&request)));
        let public = Function::http(|_| ready(example::public()));
        let health = Function::http(|_| ready(example::health()));
        let account =
            Function::service(protected::service(sessions(), Arc::clone(&clock), example::FRESH));
        // These verify by themselves, since they answer with more than an authorizer could.
        for (method, path) in [
            (Method::GET, "/account"),
            (Method::PUT, "/account/settings"),
            (Method::POST, "/account/admin"),
            (Method::GET, "/account/reports"),
            (Method::POST, "/account/transfers"),
            (Method::POST, "/account/confirm"),
        ] {
            gateway = gateway.route(method, path, Access::Public, &account);
        }
        let gateway = gateway
            .route(Method::POST, "/example/signin", Access::Public, &sign_in)
            .route(Method::POST, "/example/visitor", Access::Public, &visitor)
            .route(Method::GET, "/example/settings", Access::Public, &settings)
            .route(Method::POST, &copy, Access::Public, &copy_refresh_token)
            .route(Method::GET, "/api/public", Access::Public, &public)
            .route(Method::GET, "/api/me", Access::Authorized, &me)
            .route(Method::POST, "/api/like", Access::Authorized, &like)
            .route(Method::GET, "/healthz", Access::Public, &health)
            .build()?;
        Ok(Self {
            gateway,
            documents: documents.build()?,
            config: config.clone(),
            core: FunctionUrl::new(CORE_PATH, driver.clone()),
            functions: Functions {
                authorizer,
                refresh,
                signout,
                sessions: own_sessions,
                jwks,
                rotate_keys,
                core: driver,
                create_session,
            },
        })
    }

    /// Answers one request: the core below its path, the demo page's files, or whatever is behind the
    /// gateway.
    pub async fn handle(&self, request: Request<Bytes>) -> Response<Bytes> {
        if let Some(answer) = self.core.handle(&request).await {
            return answer;
        }
        if let Some(file) = page::file(&request) {
            return file;
        }
        let is_public = Endpoint::of(&self.config, &request).is_some_and(Endpoint::is_public);
        if is_public {
            self.documents.handle(request).await
        } else {
            self.gateway.handle(request).await
        }
    }

    /// The functions without the gateway.
    #[must_use]
    pub const fn functions(&self) -> &Functions {
        &self.functions
    }

    /// Whether the demo page has its SDK bundle.
    #[must_use]
    pub fn has_page_bundle() -> bool {
        page::has_bundle()
    }
}

fn core(sessions: Sessions<DynamoDb>, config: CoreConfig, clock: Arc<dyn Clock>) -> Function {
    // Who can reach this machine may call, unless keys are set.
    let access = config.api_keys.map_or(CoreAccess::Anybody, CoreAccess::Keys);
    let core = Arc::new(Core { sessions, access, tenants: config.tenants });
    Function::http(move |request| {
        let (core, clock) = (Arc::clone(&core), Arc::clone(&clock));
        async move { core_driver::handle(&core, &clock, request).await }
    })
}

fn rotate_keys(sessions: Arc<Sessions<DynamoDb>>, clock: Arc<dyn Clock>) -> Function {
    Function::new(move |event| {
        let (sessions, clock) = (Arc::clone(&sessions), Arc::clone(&clock));
        async move { rotate_keys::handle(&sessions, &clock, event).await }
    })
}

fn create_session(sessions: Arc<Sessions<DynamoDb>>, clock: Arc<dyn Clock>) -> Function {
    let parts = Arc::new((sessions, Arc::new(CreateConfig::default()), clock));
    Function::new(move |event| {
        let parts = Arc::clone(&parts);
        async move {
            let (sessions, config, clock) = parts.as_ref();
            Ok::<_, Infallible>(create_session::handle(sessions, config, clock, event).await)
        }
    })
}

/// With the examples that sign in from other languages, as they are deployed; they run once their packages
/// are installed.
#[must_use]
pub fn with_sign_in_examples(gateway: Gateway, invoke_api: &InvokeApi) -> Gateway {
    let mut variables = invoke_api.environment().to_vec();
    variables.push(("CREATE_SESSION_FUNCTION", "create-session"));
    let examples = [
        (Language::JavaScript, "signin-node/index.mjs", "/example/node/signin"),
        (Language::Python, "signin-python/handler.py", "/example/python/signin"),
        (Language::JavaScript, "signin-cognito/index.mjs", "/example/cognito/signin/{step}"),
    ];
    examples.into_iter().fold(gateway, |gateway, (language, handler, path)| {
        let function = Function::process(language, Path::new(EXAMPLES).join(handler), &variables);
        gateway.route(Method::POST, path, Access::Public, &function)
    })
}
