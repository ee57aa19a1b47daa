//! The functions, the example application and the gateway, put together.

use std::future::ready;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use authorizer::AuthorizerConfig;
use aws_sdk_dynamodb::Client;
use bytes::Bytes;
use core_driver::CoreConfig;
use http::{Method, Request, Response};
use revoke::LogoutConfig;
use serde_json::json;
use session::http::Endpoint;
use session::model::Clock;
use session::{SessionConfig, Sessions};

use crate::dynamodb::{create_tables, store_of};
use crate::example;
use crate::function::{Function, Language, Program};
use crate::function_url::FunctionUrl;
use crate::functions::{Functions, http_function};
use crate::gateway::{Access, Cors, Gateway};
use crate::invoke::InvokeApi;
use crate::page;

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");

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

impl Stack {
    /// Makes tables and first keys if there are none, and wires everything to them; the functions are
    /// parts of this process.
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
        let store = store_of(client.clone(), &config.app_id);
        let logout = LogoutConfig::default();
        let functions =
            Functions::in_process(config, authorizer, core_config, logout, &store, &clock);
        Self::start_with(config, functions, client, clock, cors, |gateway| gateway).await
    }

    /// As [`Self::start`], of any functions, with an application's own routes on the same gateway.
    ///
    /// # Errors
    ///
    /// Also if a route of the application cannot be told apart from another, or a function fails.
    pub async fn start_with(
        config: &SessionConfig,
        functions: Functions,
        client: Client,
        clock: Arc<dyn Clock>,
        cors: Option<Cors>,
        application: impl FnOnce(Gateway) -> Gateway,
    ) -> anyhow::Result<Self> {
        create_tables(&client).await?;
        let store = store_of(client, &config.app_id);
        let sessions = || Arc::new(Sessions::new(config.clone(), store.clone()));
        // As the schedule does when it is deployed.
        functions
            .rotate_keys
            .invoke(json!({}))
            .await
            .map_err(|error| anyhow::anyhow!(error.error_message))?;

        let sign_in = http_function!(sessions(), &clock, example::sign_in);
        let visitor = http_function!(sessions(), &clock, example::visitor);
        let likes = AtomicU64::new(0);
        let like = Function::http(move |_| ready(example::like(&likes)));
        let shown = config.clone();
        let settings = Function::http(move |_| ready(example::settings(&shown)));

        let base = &config.api.base_path;
        let mut gateway = application(Gateway::new(functions.authorizer.clone(), cors));
        let mut documents = Gateway::new(functions.authorizer.clone(), None);
        for tenant in ["", "/{tenantId}"] {
            for endpoint in Endpoint::ALL {
                let path = format!("{base}{tenant}{}", endpoint.path());
                let function = match endpoint {
                    Endpoint::Refresh | Endpoint::Device | Endpoint::DeviceRegistration => {
                        &functions.refresh
                    }
                    Endpoint::SignOut => &functions.signout,
                    Endpoint::Sessions | Endpoint::OtherSessions | Endpoint::OneSession => {
                        &functions.sessions
                    }
                    Endpoint::BackchannelLogout | Endpoint::SecurityEvents => &functions.revoke,
                    Endpoint::Jwks | Endpoint::Discovery => &functions.jwks,
                };
                let api = if endpoint.is_public() { &mut documents } else { &mut gateway };
                api.add(endpoint.method(), &path, Access::Public, function);
            }
        }
        let copy = format!("{}/copy", Endpoint::Refresh.path_in(config));
        let copy_tokens = Function::http(|request| ready(example::copy_tokens(&request)));
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
            .route(Method::POST, &copy, Access::Public, &copy_tokens)
            .route(Method::GET, "/api/public", Access::Public, &public)
            .route(Method::GET, "/api/me", Access::Authorized, &me)
            .route(Method::POST, "/api/like", Access::Authorized, &like)
            .route(Method::GET, "/healthz", Access::Public, &health)
            .build()?;
        Ok(Self {
            gateway,
            documents: documents.build()?,
            config: config.clone(),
            core: FunctionUrl::new(CORE_PATH, functions.core.clone()),
            functions,
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

/// With the examples that sign in from other languages, as they are deployed; they run once their packages
/// are installed.
#[must_use]
pub fn with_sign_in_examples(gateway: Gateway, invoke_api: &InvokeApi) -> Gateway {
    let variables = [
        ("AWS_ENDPOINT_URL_LAMBDA".to_owned(), invoke_api.url().to_owned()),
        ("CREATE_SESSION_FUNCTION".to_owned(), "create-session".to_owned()),
    ];
    let examples = [
        (Language::JavaScript, "signin-node/index.mjs", "/example/node/signin"),
        (Language::Python, "signin-python/handler.py", "/example/python/signin"),
        (Language::JavaScript, "signin-cognito/index.mjs", "/example/cognito/signin/{step}"),
    ];
    examples.into_iter().fold(gateway, |gateway, (language, handler, path)| {
        let program = Program::handler(language, &Path::new(EXAMPLES).join(handler));
        let function = Function::process(Program { variables: variables.to_vec(), ..program });
        gateway.route(Method::POST, path, Access::Public, &function)
    })
}
