//! What a deployed stack consists of, and how its parts are set up: read, never changed.

use std::collections::BTreeMap;

use anyhow::Context as _;
use aws_config::SdkConfig;
use serde_json::Value;
use session::store::StoreError;

/// A function that has settings of ours.
pub(crate) struct Function {
    /// Its name in the template.
    pub(crate) name: String,
    pub(crate) variables: BTreeMap<String, String>,
}

struct Resource {
    name: String,
    kind: String,
    id: String,
}

pub(crate) struct Stack {
    /// By Cloud Control, which reads every kind of resource in one way.
    client: aws_sdk_cloudcontrol::Client,
    resources: Vec<Resource>,
    pub(crate) functions: Vec<Function>,
}

impl Stack {
    pub(crate) async fn read(sdk: &SdkConfig, name: &str) -> anyhow::Result<Self> {
        let client = aws_sdk_cloudcontrol::Client::new(sdk);
        let resources = resources(&aws_sdk_cloudformation::Client::new(sdk), name).await?;
        let mut stack = Self { client, resources, functions: Vec::new() };
        for (function, id) in stack.all("AWS::Lambda::Function") {
            let properties = stack.properties("AWS::Lambda::Function", &id).await?;
            let variables = properties.pointer("/Environment/Variables");
            let variables = variables.and_then(|found| serde_json::from_value(found.clone()).ok());
            let variables: BTreeMap<String, String> = variables.unwrap_or_default();
            if variables.contains_key("KEYS_TABLE") {
                stack.functions.push(Function { name: function, variables });
            }
        }
        anyhow::ensure!(
            !stack.functions.is_empty(),
            "no function of the stack {name} has settings of Sesam: name the stack that has the tables"
        );
        Ok(stack)
    }

    /// The value that the stack's functions have for a variable.
    pub(crate) fn setting(&self, name: &str) -> Option<String> {
        let mut values = self.functions.iter().filter_map(|function| function.variables.get(name));
        values.find(|value| !value.trim().is_empty()).cloned()
    }

    /// Name and id of every resource of that kind.
    pub(crate) fn all(&self, kind: &str) -> Vec<(String, String)> {
        let resources = self.resources.iter().filter(|resource| resource.kind == kind);
        resources.map(|resource| (resource.name.clone(), resource.id.clone())).collect()
    }

    /// How a resource is set up.
    pub(crate) async fn properties(&self, kind: &str, id: &str) -> anyhow::Result<Value> {
        let answer = self.client.get_resource().type_name(kind).identifier(id).send().await;
        let answer = answer
            .map_err(|error| StoreError::from_sdk("GetResource", error))
            .with_context(|| format!("{kind} {id} cannot be read"))?;
        let found = answer.resource_description.and_then(|description| description.properties);
        let found = found.and_then(|properties| serde_json::from_str(&properties).ok());
        found.with_context(|| format!("{kind} {id} cannot be understood"))
    }

    /// Identifiers of all resources of that kind in the account and Region, or of those that belong to
    /// what `owner` names.
    pub(crate) async fn list(
        &self,
        kind: &str,
        owner: Option<Value>,
    ) -> anyhow::Result<Vec<String>> {
        let (mut found, mut token) = (Vec::new(), None);
        let owner = owner.map(|owner| owner.to_string());
        loop {
            let request = self.client.list_resources().type_name(kind);
            let request = request.set_resource_model(owner.clone()).set_next_token(token);
            let page = request.send().await;
            let page = page
                .map_err(|error| StoreError::from_sdk("ListResources", error))
                .with_context(|| format!("resources of the kind {kind} cannot be listed"))?;
            let descriptions = page.resource_descriptions.unwrap_or_default();
            found.extend(descriptions.into_iter().filter_map(|found| found.identifier));
            token = page.next_token;
            if token.is_none() {
                return Ok(found);
            }
        }
    }
}

async fn resources(
    client: &aws_sdk_cloudformation::Client,
    name: &str,
) -> anyhow::Result<Vec<Resource>> {
    let (mut found, mut token) = (Vec::new(), None);
    loop {
        let page =
            client.list_stack_resources().stack_name(name).set_next_token(token).send().await;
        let page = page
            .map_err(|error| StoreError::from_sdk("ListStackResources", error))
            .with_context(|| format!("the stack {name} cannot be read"))?;
        for summary in page.stack_resource_summaries.unwrap_or_default() {
            if let (Some(name), Some(kind), Some(id)) =
                (summary.logical_resource_id, summary.resource_type, summary.physical_resource_id)
            {
                found.push(Resource { name, kind, id });
            }
        }
        token = page.next_token;
        if token.is_none() {
            return Ok(found);
        }
    }
}
