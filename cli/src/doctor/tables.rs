//! The tables as `template.yaml` has them, and the clock that their answers show.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    KeySchemaElement, KeyType, PointInTimeRecoveryStatus, ScalarAttributeType, TableDescription,
    TableStatus, TimeToLiveStatus,
};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::DateTime;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::date_time::Format;
use session::model::Timestamp;
use session::store::StoreError;

use super::Check;
use crate::Call;

/// Seconds by which this machine's clock may differ: an answer shows whole seconds and was under way.
const USUAL_SKEW: u64 = 3;

/// AWS refuses requests of clocks that differ by five minutes; a token of a minute is useless before.
const BAD_SKEW: u64 = 30;

pub(super) async fn check(call: &Call) -> anyhow::Result<Vec<Check>> {
    let client = call.deployment.dynamodb();
    let sessions = call.deployment.table("SESSIONS_TABLE")?;
    let keys = call.deployment.table("KEYS_TABLE")?;
    let is_aws = call.deployment.endpoint().is_none();
    let date = ServerDate::default();
    let mut checks = Vec::new();
    for (name, columns) in [(&sessions, &["pk", "sk"][..]), (&keys, &["pk"][..])] {
        let check = format!("table {name}");
        match describe(&client, name, &date).await {
            Ok(table) => {
                checks.push(schema(&check, &table, columns));
                if is_aws {
                    checks.push(protection(&check, &table));
                    checks.push(recovery(&client, name).await);
                }
            }
            Err(error) => checks.push(unreadable(&check, &error)),
        }
    }
    checks.push(time_to_live(&client, &sessions).await);
    if !is_aws {
        checks.push(Check::skipped("backups", "point-in-time recovery is of AWS alone"));
    }
    checks.push(clock(&date, call.now));
    Ok(checks)
}

async fn describe(
    client: &Client,
    name: &str,
    date: &ServerDate,
) -> Result<TableDescription, StoreError> {
    let request = client.describe_table().table_name(name).customize();
    let answer = request.interceptor(date.clone()).send().await;
    let answer = answer.map_err(|error| StoreError::from_sdk("DescribeTable", error))?;
    Ok(answer.table.unwrap_or_else(|| TableDescription::builder().build()))
}

fn unreadable(check: &str, error: &StoreError) -> Check {
    Check::problem(
        check,
        error.to_string(),
        crate::deployment::advice_of(error).unwrap_or("see docs/operations.md"),
    )
}

fn schema(check: &str, table: &TableDescription, columns: &[&str]) -> Check {
    let found: Vec<_> = table.key_schema().iter().map(KeySchemaElement::attribute_name).collect();
    let kinds: Vec<_> = table.key_schema().iter().map(|key| key.key_type().clone()).collect();
    let expected = [KeyType::Hash, KeyType::Range];
    let is_text = table
        .attribute_definitions()
        .iter()
        .all(|attribute| attribute.attribute_type() == &ScalarAttributeType::S);
    if found != columns || !expected.starts_with(&kinds) || !is_text {
        return Check::problem(
            check,
            format!(
                "its key is {}, and must be {}, all of them text",
                found.join(" and "),
                columns.join(" and ")
            ),
            "this is another table, or one that was made by hand: `sesam tables create` makes a right one",
        );
    }
    match table.table_status() {
        Some(TableStatus::Active | TableStatus::Updating) | None => {
            Check::ok(check, format!("active, key {}", columns.join(" and ")))
        }
        Some(status) => Check::problem(check, format!("is {status}"), "wait until it is active"),
    }
}

fn protection(check: &str, table: &TableDescription) -> Check {
    let check = format!("{check}, deletion");
    if table.deletion_protection_enabled == Some(true) {
        return Check::ok(check, "protected");
    }
    Check::warning(
        check,
        "not protected: losing it signs every user out",
        "deploy with DeletionProtection=true",
    )
}

async fn recovery(client: &Client, name: &str) -> Check {
    let check = format!("table {name}, backups");
    let answer = client.describe_continuous_backups().table_name(name).send().await;
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            let error = StoreError::from_sdk("DescribeContinuousBackups", error);
            return Check::skipped(check, error.to_string());
        }
    };
    let recovery = answer.continuous_backups_description;
    let recovery = recovery.and_then(|found| found.point_in_time_recovery_description);
    let status = recovery.and_then(|found| found.point_in_time_recovery_status);
    if status == Some(PointInTimeRecoveryStatus::Enabled) {
        return Check::ok(check, "point-in-time recovery is on");
    }
    Check::warning(
        check,
        "point-in-time recovery is off: a mistaken write cannot be undone",
        format!(
            "aws dynamodb update-continuous-backups --table-name {name} \
             --point-in-time-recovery-specification PointInTimeRecoveryEnabled=true"
        ),
    )
}

async fn time_to_live(client: &Client, name: &str) -> Check {
    let check = format!("table {name}, housekeeping");
    let answer = client.describe_time_to_live().table_name(name).send().await;
    let found = match answer {
        Ok(answer) => answer.time_to_live_description,
        Err(error) => {
            return Check::skipped(
                check,
                StoreError::from_sdk("DescribeTimeToLive", error).to_string(),
            );
        }
    };
    let status = found.as_ref().and_then(|found| found.time_to_live_status.clone());
    let attribute = found.and_then(|found| found.attribute_name);
    match (status, attribute.as_deref()) {
        (Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling), Some("ttl")) => {
            Check::ok(check, "sessions are removed after their end, by the attribute ttl")
        }
        (_, _) => Check::warning(
            check,
            "TTL is not on for the attribute ttl: ended sessions stay for ever, and cost storage",
            format!(
                "aws dynamodb update-time-to-live --table-name {name} \
                 --time-to-live-specification Enabled=true,AttributeName=ttl"
            ),
        ),
    }
}

fn clock(date: &ServerDate, now: Timestamp) -> Check {
    const CHECK: &str = "clock of this machine";
    let date = date.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let date = date.and_then(|text| DateTime::from_str(&text, Format::HttpDate).ok());
    let Some(date) = date.and_then(|date| u64::try_from(date.secs()).ok()) else {
        return Check::skipped(CHECK, "nobody has answered with a time");
    };
    let skew = date.abs_diff(now.as_secs());
    let found = format!("{skew} s apart from the table's");
    match skew {
        0..=USUAL_SKEW => Check::ok(CHECK, found),
        _ if skew < BAD_SKEW => Check::warning(CHECK, found, "let it follow a time server (NTP)"),
        _ => Check::problem(
            CHECK,
            found,
            "let it follow a time server (NTP): keys that this machine rotates would begin at the wrong time",
        ),
    }
}

/// The `Date` of an answer.
#[derive(Clone, Debug, Default)]
struct ServerDate(Arc<Mutex<Option<String>>>);

impl Intercept for ServerDate {
    fn name(&self) -> &'static str {
        "ServerDate"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(date) = context.response().headers().get("date") {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(date.to_owned());
        }
        Ok(())
    }
}
