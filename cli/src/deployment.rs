//! Which deployment is meant: its tables, its settings, and the clients to reach it.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{Builder, Credentials};
use bootstrap::{EVENT_BUS_VARIABLE, EventBus, Kms, Lookup, SEAL_VARIABLE};
use clap::Args;
use session::store::{DynamoDb, StoreError};
use session::{SessionConfig, Sessions};

use crate::Machine;
use crate::stack::Stack;

// No doc comment: clap would take it for the description of the whole.
#[derive(Args)]
pub(crate) struct Target {
    /// Take tables and settings from the functions of this CloudFormation stack
    #[arg(long, global = true, value_name = "NAME")]
    stack: Option<String>,
    /// The application, where several share the tables; else the variable `APP_ID`, else `public`
    #[arg(long, global = true, value_name = "ID")]
    app_id: Option<String>,
    /// The table of sessions; else the variable `SESSIONS_TABLE`
    #[arg(long, global = true, value_name = "NAME")]
    sessions_table: Option<String>,
    /// The table of keys; else the variable `KEYS_TABLE`
    #[arg(long, global = true, value_name = "NAME")]
    keys_table: Option<String>,
    /// The Region; else as AWS' own tools find it
    #[arg(long, global = true)]
    region: Option<String>,
    /// The profile of the AWS configuration; else as AWS' own tools find it
    #[arg(long, global = true)]
    profile: Option<String>,
    /// A DynamoDB other than that of AWS, such as `http://127.0.0.1:8000`
    #[arg(long, global = true, value_name = "URL")]
    endpoint: Option<String>,
}

/// What the local stack calls its tables.
const LOCAL_TABLES: [(&str, &str); 2] = [("SESSIONS_TABLE", "Sessions"), ("KEYS_TABLE", "Keys")];

/// Stands for an address that a command makes no use of.
const SOME_ORIGIN: &str = "https://sesam.invalid";

pub(crate) struct Deployment {
    target: Target,
    sdk: SdkConfig,
    variables: Lookup,
    pub(crate) stack: Option<Stack>,
}

impl Deployment {
    pub(crate) async fn open(target: Target, machine: &Machine<'_>) -> anyhow::Result<Self> {
        let sdk = match machine.aws {
            Some(sdk) => sdk.clone(),
            None => sdk_config(&target).await,
        };
        let stack = match &target.stack {
            Some(name) => Some(Stack::read(&sdk, name).await?),
            None => None,
        };
        Ok(Self { target, sdk, variables: machine.variables, stack })
    }

    /// A setting: from the command line, else from the stack's functions, or without a stack from the
    /// environment.
    pub(crate) fn setting(&self, name: &str) -> Option<String> {
        let flag = match name {
            "APP_ID" => self.target.app_id.clone(),
            "SESSIONS_TABLE" => self.target.sessions_table.clone(),
            "KEYS_TABLE" => self.target.keys_table.clone(),
            _ => None,
        };
        flag.or_else(|| match &self.stack {
            Some(stack) => stack.setting(name),
            None => (self.variables)(name),
        })
    }

    /// Where the tables are, if that is not AWS.
    pub(crate) fn endpoint(&self) -> Option<&str> {
        self.target.endpoint.as_deref()
    }

    /// The name of a table, by its variable.
    pub(crate) fn table(&self, variable: &'static str) -> anyhow::Result<String> {
        let local = LOCAL_TABLES.iter().find(|(name, _)| *name == variable);
        let local = local.filter(|_| self.target.endpoint.is_some());
        let table = self.setting(variable).or_else(|| local.map(|(_, table)| (*table).to_owned()));
        let flag = variable.to_lowercase().replace('_', "-");
        table.with_context(|| {
            format!(
                "which table is not known: name the stack with --stack, or the table with --{flag}"
            )
        })
    }

    /// The settings. Without a stack, addresses are left open that only functions make use of.
    pub(crate) fn config(&self) -> anyhow::Result<SessionConfig> {
        let is_open = |name: &str| matches!(name, "API_DOMAIN" | "WEBSITE_DOMAIN");
        let config = SessionConfig::from_lookup(|name| {
            let value = self.setting(name).filter(|text| !text.trim().is_empty());
            value.or_else(|| is_open(name).then(|| SOME_ORIGIN.to_owned()))
        });
        config.context("the settings come from the stack, else from the environment")
    }

    pub(crate) fn dynamodb(&self) -> Client {
        let config = Builder::from(&self.sdk);
        Client::from_conf(match &self.target.endpoint {
            Some(endpoint) => config.endpoint_url(endpoint).build(),
            None => config.build(),
        })
    }

    /// The use cases over both tables, as the functions have them.
    pub(crate) fn sessions(&self) -> anyhow::Result<Sessions<DynamoDb>> {
        let config = self.config()?;
        let tables = (self.table("SESSIONS_TABLE")?, self.table("KEYS_TABLE")?);
        let mut store = DynamoDb::new(self.dynamodb(), &config.app_id, tables.0, tables.1);
        if let Some(key_id) = self.setting(SEAL_VARIABLE) {
            store =
                store.sealed_by(Arc::new(Kms::new(aws_sdk_kms::Client::new(&self.sdk), key_id)));
        }
        let sessions = Sessions::new(config, store);
        Ok(match self.setting(EVENT_BUS_VARIABLE) {
            Some(name) => {
                let client = aws_sdk_eventbridge::Client::new(&self.sdk);
                let bus = EventBus::new(client, name, sessions.config().event_context);
                sessions.with_listener(Arc::new(bus))
            }
            None => sessions,
        })
    }
}

async fn sdk_config(target: &Target) -> SdkConfig {
    // For people, who sit further away than functions and wait rather than repeat.
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5))
        .operation_attempt_timeout(Duration::from_secs(15))
        .operation_timeout(Duration::from_mins(1))
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .timeout_config(timeouts)
        .retry_config(match target.endpoint {
            Some(_) => RetryConfig::disabled(), // What is not there at once is not started.
            None => RetryConfig::standard().with_max_attempts(8),
        });
    if let Some(profile) = &target.profile {
        loader = loader.profile_name(profile);
    }
    // What is no AWS knows neither Regions nor credentials, and SDKs demand both.
    if target.endpoint.is_some() && target.profile.is_none() {
        let nobody = Credentials::new("local", "local", None, None, "endpoint");
        loader = loader.credentials_provider(nobody).region(Region::from_static("eu-west-1"));
    }
    if let Some(region) = &target.region {
        loader = loader.region(Region::new(region.clone()));
    }
    loader.load().await
}

/// What is wrong, and what to do about it if that is known.
pub(crate) fn explained(error: &anyhow::Error) -> (String, Option<&'static str>) {
    if lacks_credentials(error.as_ref()) {
        // The SDK lists every place that it has looked at.
        return ("AWS cannot be asked without credentials".to_owned(), Some(SIGN_IN));
    }
    let advice = error.chain().find_map(|cause| advice_of(cause.downcast_ref::<StoreError>()?));
    (format!("{error:#}"), advice)
}

const SIGN_IN: &str = "there are none: sign in to AWS, or choose a profile with --profile";

fn lacks_credentials(error: &(dyn Error + 'static)) -> bool {
    anyhow::Chain::new(error).any(|cause| {
        let cause = cause.downcast_ref::<CredentialsError>();
        matches!(cause, Some(CredentialsError::CredentialsNotLoaded(_)))
    })
}

pub(crate) fn advice_of(error: &StoreError) -> Option<&'static str> {
    if lacks_credentials(error) {
        return Some(SIGN_IN);
    }
    let code = match error {
        StoreError::Unavailable { code, .. } | StoreError::Refused { code, .. } => code,
        StoreError::Inconsistent { .. } => return None,
    };
    match code.as_str() {
        "ResourceNotFoundException" => Some(
            "there is no such table in this account and Region: look at --stack, --region and the tables' \
             names, or make them with `sesam tables create`",
        ),
        "ValidationError" => Some("there is no such stack in this account and Region"),
        "AccessDenied" | "AccessDeniedException" => {
            Some("docs/operations.md lists what each command must be permitted to do")
        }
        "UnrecognizedClientException" | "ExpiredTokenException" | "InvalidSignatureException" => {
            Some("the credentials are not valid, or not any more: sign in to AWS again")
        }
        "ProvisionedThroughputExceededException" | "ThrottlingException" => {
            Some("the table is throttled: repeat the command later, which is safe")
        }
        "connection" | "timeout" => Some(
            "nothing answers there: look at --region, --endpoint, the credentials and the network",
        ),
        _ => None,
    }
}
