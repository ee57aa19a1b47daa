//! The embedded `DynamoDB`, reached by the real SDK without a socket.

use std::path::Path;

use anyhow::Context as _;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use dynoxide::Database;
use dynoxide::errors::DynoxideError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use session::store::DynamoDb;
use tokio::net::TcpListener;

/// Name of the table of sessions.
pub const SESSIONS_TABLE: &str = "Sessions";
/// Name of the table of keys.
pub const KEYS_TABLE: &str = "Keys";

/// An engine in this process; cloning shares it.
#[derive(Clone)]
pub struct Embedded {
    database: Database,
}

impl Embedded {
    /// An engine that forgets everything when it is dropped.
    ///
    /// # Errors
    ///
    /// If the engine cannot start.
    pub fn in_memory() -> anyhow::Result<Self> {
        let database = Database::memory().context("starting the embedded DynamoDB")?;
        Ok(Self { database })
    }

    /// An engine that keeps its data in a file below `folder`.
    ///
    /// # Errors
    ///
    /// If the folder cannot be made or the file cannot be opened.
    pub fn in_folder(folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("making the folder {}", folder.display()))?;
        let file = folder.join("dynamodb.sqlite");
        let path = file.to_str().context("the data folder's name is not UTF-8")?;
        let database =
            Database::new(path).with_context(|| format!("opening {}", file.display()))?;
        // Housekeeping that AWS does in the background.
        if database.table_count().is_ok_and(|count| count > 0) {
            database.sweep_ttl().context("removing expired items")?;
        }
        Ok(Self { database })
    }

    /// Writes the items of a file, in the form that `BatchWriteItem` takes as its `RequestItems`.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or the engine does not take what is in it.
    pub fn load(&self, file: &Path) -> anyhow::Result<()> {
        let items =
            std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        let request = format!(r#"{{"RequestItems":{items}}}"#);
        let (status, answer) = self.answer("BatchWriteItem", request.as_bytes());
        anyhow::ensure!(status == 200, "writing the items of {}: {answer}", file.display());
        Ok(())
    }

    /// Serves the engine on a listener as `DynamoDB`, until the process ends.
    pub async fn serve(self, listener: TcpListener) {
        dynoxide::server::serve_on(listener, self.database).await;
    }

    /// The engine itself, for what only it can do.
    #[must_use]
    pub const fn database(&self) -> &Database {
        &self.database
    }

    /// Answers one call of the `DynamoDB` JSON protocol: status and body.
    #[must_use]
    pub fn answer(&self, target: &str, body: &[u8]) -> (u16, String) {
        let operation = target.rsplit('.').next().unwrap_or_default();
        let db = &self.database;
        let result = match operation {
            "BatchWriteItem" => call(body, |request| db.batch_write_item(request)),
            "CreateTable" => call(body, |request| db.create_table(request)),
            "DeleteItem" => call(body, |request| db.delete_item(request)),
            "DescribeTable" => call(body, |request| db.describe_table(request)),
            "DescribeTimeToLive" => call(body, |request| db.describe_time_to_live(request)),
            "GetItem" => call(body, |request| db.get_item(request)),
            "PutItem" => call(body, |request| db.put_item(request)),
            "Query" => call(body, |request| db.query(request)),
            "Scan" => call(body, |request| db.scan(request)),
            "TransactWriteItems" => call(body, |request| db.transact_write_items(request)),
            "UpdateItem" => call(body, |request| db.update_item(request)),
            "UpdateTimeToLive" => call(body, |request| db.update_time_to_live(request)),
            _ => Err(DynoxideError::ValidationException(format!("{operation} is not wired"))),
        };
        match result {
            Ok(body) => (200, body),
            Err(error) => (error.status_code(), error.to_json()),
        }
    }
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedded").finish_non_exhaustive()
    }
}

fn call<Q: DeserializeOwned, A: Serialize>(
    body: &[u8],
    operation: impl FnOnce(Q) -> Result<A, DynoxideError>,
) -> Result<String, DynoxideError> {
    let malformed = |error: serde_json::Error| {
        DynoxideError::ValidationException(format!("malformed request: {error}"))
    };
    let answer = operation(serde_json::from_slice(body).map_err(malformed)?)?;
    serde_json::to_string(&answer).map_err(malformed)
}

impl HttpConnector for Embedded {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let (status, body) = self.answer(target, request.body().bytes().unwrap_or_default());
        let response = status
            .try_into()
            .map(|status| HttpResponse::new(status, SdkBody::from(body)))
            .map_err(|error| ConnectorError::other(Box::new(error), None));
        HttpConnectorFuture::ready(response)
    }
}

/// What an SDK client needs whose requests go to `http` instead of to AWS; retries and time-outs are
/// those that ship.
pub fn sdk_config(http: impl HttpConnector + Clone + 'static) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::for_tests()))
        .endpoint_url("http://emulated.invalid")
        .http_client(http_client_fn(move |_, _| SharedHttpConnector::new(http.clone())))
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .retry_config(bootstrap::retries())
        .timeout_config(bootstrap::timeouts())
        .build()
}

/// The SDK's client of a `DynamoDB` that is reached by `http`.
pub fn client(http: impl HttpConnector + Clone + 'static) -> Client {
    Client::new(&sdk_config(http))
}

/// The store of the default application over that client.
#[must_use]
pub fn store(client: Client) -> DynamoDb {
    store_of(client, "public")
}

/// The store of an application over that client.
#[must_use]
pub fn store_of(client: Client, app_id: &str) -> DynamoDb {
    DynamoDb::new(client, app_id, SESSIONS_TABLE, KEYS_TABLE)
}

/// Makes the two tables as the template describes them, unless they exist.
///
/// # Errors
///
/// If the engine refuses.
pub async fn create_tables(client: &Client) -> anyhow::Result<()> {
    let made = session::store::create_tables(client, SESSIONS_TABLE, KEYS_TABLE).await;
    made.map(drop).context("making the tables")
}
