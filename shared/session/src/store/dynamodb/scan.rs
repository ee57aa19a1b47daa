//! Sessions that only reading the whole table finds.

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};

use super::DynamoDb;
use super::item::Item;
use super::user::handle_of;
use crate::model::TenantId;
use crate::store::{ScanPage, SessionScanner, StoreError};

/// A place in a table that is being read: the key of the item before it. Can be given to others, who give it
/// back.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
// Printable: an item's key, which holds a handle and no user.
pub struct Cursor {
    pk: String,
    sk: String,
}

impl Cursor {
    fn of(key: &Item) -> Option<Self> {
        let text = |name| key.get(name)?.as_s().ok().cloned();
        Some(Self { pk: text("pk")?, sk: text("sk")? })
    }

    fn into_key(self) -> Item {
        let Self { pk, sk } = self;
        [("pk", pk), ("sk", sk)]
            .map(|(name, text)| (name.to_owned(), AttributeValue::S(text)))
            .into()
    }
}

impl SessionScanner for DynamoDb {
    async fn scan_sessions(
        &self,
        tenant_id: Option<&TenantId>,
        after: Option<Cursor>,
    ) -> Result<ScanPage, StoreError> {
        let text = |text: String| AttributeValue::S(text);
        let scan = self
            .client
            .scan()
            .table_name(&self.sessions)
            .consistent_read(true)
            .expression_attribute_values(":application", text(format!("{}#", self.app_id)))
            .projection_expression("sk")
            .set_exclusive_start_key(after.map(Cursor::into_key));
        // No application's id is the beginning of another's with the separator. Only sessions have a tenant.
        let scan = match tenant_id {
            None => scan
                .filter_expression("begins_with(pk, :application) AND attribute_exists(tenant_id)"),
            Some(tenant_id) => scan
                .filter_expression("begins_with(pk, :application) AND tenant_id = :tenant_id")
                .expression_attribute_values(":tenant_id", text(tenant_id.to_string())),
        };
        let page = scan.send().await.map_err(|error| StoreError::from_sdk("Scan", error))?;
        Ok(ScanPage {
            handles: page.items().iter().filter_map(handle_of).collect(),
            scanned: u64::try_from(page.scanned_count).unwrap_or_default(),
            next: page.last_evaluated_key.as_ref().and_then(Cursor::of),
        })
    }
}
