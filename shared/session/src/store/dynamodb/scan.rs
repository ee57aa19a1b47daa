//! Sessions that only reading the whole table finds.

use aws_sdk_dynamodb::types::AttributeValue;

use super::DynamoDb;
use super::item::Item;
use super::user::handle_of;
use crate::model::TenantId;
use crate::store::{ScanPage, SessionScanner, StoreError};

/// A place in a table that is being read.
#[derive(Clone, Debug)]
// Printable: an item's key, which holds a handle and no user.
pub struct Cursor(Item);

impl SessionScanner for DynamoDb {
    async fn scan_tenant(
        &self,
        tenant_id: &TenantId,
        after: Option<Cursor>,
    ) -> Result<ScanPage, StoreError> {
        let text = |text: String| AttributeValue::S(text);
        let page = self
            .client
            .scan()
            .table_name(&self.sessions)
            .consistent_read(true)
            // No application's id is the beginning of another's with the separator.
            .filter_expression("begins_with(pk, :application) AND tenant_id = :tenant_id")
            .expression_attribute_values(":application", text(format!("{}#", self.app_id)))
            .expression_attribute_values(":tenant_id", text(tenant_id.to_string()))
            .projection_expression("sk")
            .set_exclusive_start_key(after.map(|Cursor(key)| key))
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("Scan", error))?;
        Ok(ScanPage {
            handles: page.items().iter().filter_map(handle_of).collect(),
            scanned: u64::try_from(page.scanned_count).unwrap_or_default(),
            next: page.last_evaluated_key.map(Cursor),
        })
    }
}
