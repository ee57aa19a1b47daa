//! IAM, between the SDK and a service: what a policy does not allow is refused before the service sees it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use serde_json::Value;

/// One thing that a request asks for; a transaction asks for several.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Asked {
    /// Such as `dynamodb:GetItem`.
    pub action: String,
    /// Name of the table or bus, ARN of the key.
    pub resource: String,
    /// The values of each condition key.
    pub context: BTreeMap<String, Vec<String>>,
}

type Policy = dyn Fn(&Asked) -> bool + Send + Sync;

/// A policy and what it has refused; clones share both.
#[derive(Clone)]
pub struct Iam {
    allows: Arc<Policy>,
    refused: Arc<Mutex<Vec<Asked>>>,
}

impl Iam {
    /// IAM with that policy.
    pub fn new(allows: impl Fn(&Asked) -> bool + Send + Sync + 'static) -> Self {
        Self { allows: Arc::new(allows), refused: Arc::default() }
    }

    /// Whether the policy allows it; if not, that is remembered.
    pub fn allows(&self, asked: Asked) -> bool {
        let is_allowed = (self.allows)(&asked);
        if !is_allowed {
            self.refused.lock().unwrap().push(asked);
        }
        is_allowed
    }

    /// What was refused.
    pub fn refused(&self) -> Vec<Asked> {
        self.refused.lock().unwrap().clone()
    }

    /// A service, for whom this policy lets through.
    pub fn before<S>(&self, service: S) -> Guarded<S> {
        Guarded { iam: self.clone(), service }
    }
}

impl std::fmt::Debug for Iam {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Iam")
    }
}

/// A service behind a policy.
#[derive(Clone, Debug)]
pub struct Guarded<S> {
    iam: Iam,
    service: S,
}

impl<S: HttpConnector> HttpConnector for Guarded<S> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let body = serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap();
        // IAM refuses a request for one of the things that it asks for.
        if asked(target, &body).into_iter().all(|asked| self.iam.allows(asked)) {
            return self.service.call(request);
        }
        let refusal = SdkBody::from(r#"{"__type":"AccessDeniedException"}"#);
        HttpConnectorFuture::ready(Ok(HttpResponse::new(400.try_into().unwrap(), refusal)))
    }
}

/// What a request asks for, as the service authorization reference of each service says.
///
/// # Panics
///
/// For requests that no function makes so far.
fn asked(target: &str, body: &Value) -> Vec<Asked> {
    let (service, operation) = target.rsplit_once('.').unwrap();
    match (service, operation) {
        ("DynamoDB_20120810", "TransactWriteItems") => {
            let items = body["TransactItems"].as_array().unwrap().iter();
            let parts = items.flat_map(|item| item.as_object().unwrap());
            parts.map(|(kind, part)| on_item(&format!("{kind}Item"), part)).collect()
        }
        ("DynamoDB_20120810", "BatchWriteItem") => {
            let tables = body["RequestItems"].as_object().unwrap().keys();
            tables.map(|table| one("dynamodb:BatchWriteItem", table, "", vec![])).collect()
        }
        ("DynamoDB_20120810", operation) => vec![on_item(operation, body)],
        ("TrentService", operation) => {
            let table = text(&body["EncryptionContext"]["table"]);
            let action = format!("kms:{operation}");
            vec![one(&action, &text(&body["KeyId"]), "kms:EncryptionContext:table", vec![table])]
        }
        ("AWSEvents", "PutEvents") => {
            let entries = body["Entries"].as_array().unwrap().iter().map(|entry| {
                let source = text(&entry["Source"]);
                one(
                    "events:PutEvents",
                    &text(&entry["EventBusName"]),
                    "events:source",
                    vec![source],
                )
            });
            entries.collect()
        }
        other => panic!("say what {other:?} asks for"),
    }
}

/// `LeadingKeys` are those that the request names; of a query none are read here.
fn on_item(operation: &str, part: &Value) -> Asked {
    let named = [&part["Key"]["pk"]["S"], &part["Item"]["pk"]["S"]];
    let keys = named.into_iter().filter(|key| key.is_string()).map(text).collect();
    let action = format!("dynamodb:{operation}");
    one(&action, &text(&part["TableName"]), "dynamodb:LeadingKeys", keys)
}

fn one(action: &str, resource: &str, key: &str, values: Vec<String>) -> Asked {
    let context =
        if values.is_empty() { BTreeMap::new() } else { [(key.to_owned(), values)].into() };
    Asked { action: action.to_owned(), resource: resource.to_owned(), context }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
