//! The tables themselves, as `template.yaml` has them.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::client::Waiters as _;
use aws_sdk_dynamodb::operation::create_table::CreateTableError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
    TimeToLiveSpecification,
};

use crate::store::StoreError;

/// How long a new table may take until it can be used; seconds are usual.
const MAX_WAIT: Duration = Duration::from_mins(5);

/// Makes the two tables of these names, unless they exist: which ones were made.
///
/// For tests, for machines without AWS, and where no template makes them. What exists is left as it is.
///
/// # Errors
///
/// [`StoreError`] if the service refuses or does not answer; repeating the call is safe.
pub async fn create_tables(
    client: &Client,
    sessions: &str,
    keys: &str,
) -> Result<[bool; 2], StoreError> {
    let columns = [("pk", KeyType::Hash), ("sk", KeyType::Range)];
    let made_sessions = create(client, sessions, &columns).await?;
    let made_keys = create(client, keys, &columns[..1]).await?;
    if made_sessions {
        client
            .update_time_to_live()
            .table_name(sessions)
            .time_to_live_specification(built(
                "UpdateTimeToLive",
                TimeToLiveSpecification::builder().attribute_name("ttl").enabled(true).build(),
            )?)
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("UpdateTimeToLive", error))?;
    }
    Ok([made_sessions, made_keys])
}

/// Whether there was none.
async fn create(
    client: &Client,
    name: &str,
    columns: &[(&str, KeyType)],
) -> Result<bool, StoreError> {
    const OPERATION: &str = "CreateTable";
    let mut request =
        client.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
    for (column, kind) in columns {
        let attribute = AttributeDefinition::builder().attribute_name(*column);
        let key = KeySchemaElement::builder().attribute_name(*column).key_type(kind.clone());
        request = request
            .attribute_definitions(built(
                OPERATION,
                attribute.attribute_type(ScalarAttributeType::S).build(),
            )?)
            .key_schema(built(OPERATION, key.build())?);
    }
    if let Err(error) = request.send().await {
        let exists =
            error.as_service_error().is_some_and(CreateTableError::is_resource_in_use_exception);
        return if exists { Ok(false) } else { Err(StoreError::from_sdk(OPERATION, error)) };
    }
    let wait = client.wait_until_table_exists().table_name(name).wait(MAX_WAIT).await;
    wait.map_err(|error| StoreError::Unavailable {
        operation: "DescribeTable",
        code: "the table is not ready".to_owned(),
        source: std::sync::Arc::new(error),
    })?;
    Ok(true)
}

/// What lacks nothing can be built; the builders cannot know.
fn built<T, E: std::error::Error + Send + Sync + 'static>(
    operation: &'static str,
    part: Result<T, E>,
) -> Result<T, StoreError> {
    part.map_err(|error| StoreError::Refused {
        operation,
        code: "invalid request".to_owned(),
        source: std::sync::Arc::new(error),
    })
}
