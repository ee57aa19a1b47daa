//! The functions that are deployed: as parts of this process, or as their built binaries.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use authorizer::AuthorizerConfig;
use core_driver::{Access, Core, CoreConfig};
use create_session::CreateConfig;
use lambda_http::{Context, LambdaEvent};
use revoke::{LogoutConfig, Provider};
use serde_json::Value;
use serde_json::value::RawValue;
use session::model::Clock;
use session::store::DynamoDb;
use session::{SessionConfig, Sessions};

use crate::dynamodb::{KEYS_TABLE, SESSIONS_TABLE};
use crate::function::{Function, Program};

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
    /// Ends sessions from outside.
    pub revoke: Function,
}

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
pub(crate) use http_function;

impl Functions {
    /// Parts of this process.
    ///
    /// Every function gets its own [`Sessions`], and so its own keys in memory, as it has its own
    /// process on AWS.
    #[must_use]
    pub fn in_process(
        config: &SessionConfig,
        authorizer: AuthorizerConfig,
        core: CoreConfig,
        logout: LogoutConfig,
        store: &DynamoDb,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        let sessions = || Arc::new(Sessions::new(config.clone(), store.clone()));
        let rotate_keys = {
            let (sessions, clock) = (sessions(), Arc::clone(clock));
            Function::new(move |event| {
                let (sessions, clock) = (Arc::clone(&sessions), Arc::clone(&clock));
                async move { rotate_keys::handle(&sessions, &clock, event).await }
            })
        };
        let authorizer = {
            let sessions = Sessions::new(config.clone(), store.clone().read_only());
            let parts = Arc::new((sessions, authorizer, Arc::clone(clock)));
            Function::new(move |event: Box<RawValue>| {
                let parts = Arc::clone(&parts);
                async move {
                    let (sessions, config, clock) = parts.as_ref();
                    authorizer::handle(sessions, config, clock, &event).await
                }
            })
        };
        let sessions_of_core = Sessions::new(config.clone(), store.clone());
        Self {
            authorizer,
            refresh: http_function!(sessions(), clock, refresh::handle),
            signout: http_function!(sessions(), clock, signout::handle),
            sessions: http_function!(sessions(), clock, sessions::handle),
            jwks: http_function!(sessions(), clock, jwks::handle),
            rotate_keys,
            core: core_in_process(sessions_of_core, core, Arc::clone(clock)),
            create_session: create_session_in_process(sessions(), Arc::clone(clock)),
            revoke: revoke_in_process(sessions(), logout, Arc::clone(clock)),
        }
    }

    /// Processes of their own.
    ///
    /// # Errors
    ///
    /// If one has not been built.
    pub fn built(binaries: &Binaries) -> anyhow::Result<Self> {
        Ok(Self {
            authorizer: binaries.function("AuthorizerFunction", &[])?,
            refresh: binaries.function("RefreshFunction", &[])?,
            signout: binaries.function("SignoutFunction", &[])?,
            sessions: binaries.function("SessionsFunction", &[])?,
            jwks: binaries.function("JwksFunction", &[])?,
            rotate_keys: binaries.function("RotateKeysFunction", &[])?,
            core: binaries.function("CoreFunction", &[])?,
            create_session: binaries.function("CreateSessionFunction", &[])?,
            revoke: binaries.function("RevokeFunction", &[])?,
        })
    }
}

fn core_in_process(
    sessions: Sessions<DynamoDb>,
    config: CoreConfig,
    clock: Arc<dyn Clock>,
) -> Function {
    let access = config.api_keys.map_or(Access::Iam, Access::Keys);
    let core = Arc::new(Core { sessions, access, tenants: config.tenants });
    Function::http(move |request| {
        let (core, clock) = (Arc::clone(&core), Arc::clone(&clock));
        async move { core_driver::handle(&core, &clock, request).await }
    })
}

fn create_session_in_process(sessions: Arc<Sessions<DynamoDb>>, clock: Arc<dyn Clock>) -> Function {
    let parts = Arc::new((sessions, Arc::new(CreateConfig::default()), clock));
    Function::new(move |event| {
        let parts = Arc::clone(&parts);
        async move {
            let (sessions, config, clock) = parts.as_ref();
            Ok::<_, Infallible>(create_session::handle(sessions, config, clock, event).await)
        }
    })
}

fn revoke_in_process(
    sessions: Arc<Sessions<DynamoDb>>,
    config: LogoutConfig,
    clock: Arc<dyn Clock>,
) -> Function {
    let get = |address: String| async move { Ok(bootstrap::get(&address).await?) };
    let provider = config.issuer.map(|issuer| Arc::new(Provider::new(issuer, get)));
    let parts = Arc::new((sessions, provider, clock));
    Function::new(move |event: Value| {
        let parts = Arc::clone(&parts);
        async move {
            let (sessions, provider, clock) = parts.as_ref();
            let mut context = Context::default();
            context.deadline = clock.now().plus(REVOKE_TIMEOUT).as_millis();
            let event = LambdaEvent::new(event, context);
            revoke::answer(sessions, provider.as_ref(), clock, event).await
        }
    })
}

/// The `Timeout` that the template gives `revoke`.
const REVOKE_TIMEOUT: Duration = Duration::from_mins(1);

/// The `Timeout` that the template gives to functions that list the sessions of a user.
const LISTING_TIMEOUT: Duration = Duration::from_secs(29);

/// What `template.yaml` says of a function's process.
#[derive(Clone, Copy, Debug)]
pub struct Deployed {
    /// The function's logical id.
    pub logical_id: &'static str,
    /// The binary that is built for it.
    pub binary: &'static str,
    /// Its memory, in MB.
    pub memory_mb: u32,
    /// How long one invocation may take.
    pub timeout: Duration,
}

impl Deployed {
    /// Memory and time as in `Globals`.
    const fn new(logical_id: &'static str, binary: &'static str) -> Self {
        Self { logical_id, binary, memory_mb: 256, timeout: Duration::from_secs(5) }
    }
}

/// Every function of the template.
pub const DEPLOYED: [Deployed; 11] = [
    Deployed::new("AuthorizerFunction", "authorizer"),
    Deployed::new("StrictAuthorizerFunction", "authorizer"),
    Deployed::new("RefreshFunction", "refresh"),
    Deployed::new("SignoutFunction", "signout"),
    Deployed { timeout: LISTING_TIMEOUT, ..Deployed::new("SessionsFunction", "sessions") },
    Deployed::new("JwksFunction", "jwks"),
    Deployed {
        memory_mb: 1769,
        timeout: Duration::from_mins(1),
        ..Deployed::new("RotateKeysFunction", "rotate-keys")
    },
    Deployed::new("CreateSessionFunction", "create-session"),
    Deployed { timeout: REVOKE_TIMEOUT, ..Deployed::new("RevokeFunction", "revoke") },
    Deployed { timeout: LISTING_TIMEOUT, ..Deployed::new("CoreFunction", "core-driver") },
    Deployed::new("CheckSettingsFunction", "check-settings"),
];

/// Built functions, and the settings that they share.
#[derive(Debug)]
pub struct Binaries {
    folder: PathBuf,
    variables: Vec<(String, String)>,
}

impl Binaries {
    /// What `cargo build`, `cargo lambda build` or `sam build` put into a folder.
    #[must_use]
    pub fn new(folder: PathBuf, settings: Vec<(String, String)>, dynamodb_url: String) -> Self {
        let mut variables = settings;
        variables.extend([
            ("SESSIONS_TABLE".to_owned(), SESSIONS_TABLE.to_owned()),
            ("KEYS_TABLE".to_owned(), KEYS_TABLE.to_owned()),
            ("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), dynamodb_url),
            // As the template's LoggingConfig has Lambda say it.
            ("AWS_LAMBDA_LOG_FORMAT".to_owned(), "JSON".to_owned()),
            ("AWS_LAMBDA_LOG_LEVEL".to_owned(), "INFO".to_owned()),
        ]);
        Self { folder, variables }
    }

    /// A function by its logical id, with variables of its own. It sees nothing of this process's environment.
    ///
    /// # Errors
    ///
    /// If it is not in the folder.
    pub fn function(&self, logical_id: &str, own: &[(&str, &str)]) -> anyhow::Result<Function> {
        self.program(logical_id, own).map(Function::process)
    }

    /// As [`Self::function`], to be started by the caller.
    ///
    /// # Errors
    ///
    /// If it is not in the folder.
    pub fn program(&self, logical_id: &str, own: &[(&str, &str)]) -> anyhow::Result<Program> {
        let deployed = DEPLOYED.into_iter().find(|deployed| deployed.logical_id == logical_id);
        let Some(deployed) = deployed else {
            anyhow::bail!("{logical_id} is no function of the template");
        };
        let own = own.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Ok(Program {
            name: logical_id.to_owned(),
            executable: self.executable(&deployed)?,
            arguments: Vec::new(),
            variables: self.variables.iter().cloned().chain(own).collect(),
            inherits_environment: false,
            is_silent: false,
            memory_mb: deployed.memory_mb,
            timeout: deployed.timeout,
        })
    }

    fn executable(&self, deployed: &Deployed) -> anyhow::Result<PathBuf> {
        let Deployed { logical_id, binary, .. } = *deployed;
        let places = [
            Path::new(binary).to_path_buf(),
            Path::new(binary).join("bootstrap"),
            Path::new(logical_id).join("bootstrap"),
        ];
        let found = places.iter().map(|place| self.folder.join(place)).find(|path| path.is_file());
        found.ok_or_else(|| {
            let folder = self.folder.display();
            anyhow::anyhow!(
                "{folder} has no `{binary}`: build the functions with `cargo build --bins`"
            )
        })
    }
}
