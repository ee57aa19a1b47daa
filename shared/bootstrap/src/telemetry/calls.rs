//! A span for each call of an AWS service, and a duration for those of the table.

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeSerializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
    FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, Metadata};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};
use opentelemetry::trace::{SpanKind, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Array, Context, KeyValue};
use opentelemetry_semantic_conventions::attribute;
use serde_json::Value;
use tokio::time::Instant;

use super::{Telemetry, get};

/// What the table answers when somebody else was faster, which is no failure.
const CONDITION: &str = "ConditionalCheckFailedException";

/// Observes the calls of a client; of a client without telemetry nothing.
#[derive(Debug)]
pub(crate) struct Calls;

/// A call that is under way.
#[derive(Debug)]
struct Call {
    // Printable: a span, and the name of an operation.
    context: Context,
    began: Instant,
    operation: String,
    of_table: bool,
}

impl Storable for Call {
    type Storer = StoreReplace<Self>;
}

impl Call {
    fn begin(telemetry: &Telemetry, metadata: &Metadata) -> Self {
        let (service, operation) = (metadata.service(), metadata.name());
        let of_table = service == "DynamoDB";
        let mut attributes = vec![
            KeyValue::new(attribute::RPC_SYSTEM_NAME, "aws-api"),
            KeyValue::new(attribute::RPC_METHOD, format!("{service}/{operation}")),
        ];
        if of_table {
            attributes.push(KeyValue::new(attribute::DB_SYSTEM_NAME, "aws.dynamodb"));
            attributes.push(KeyValue::new(attribute::DB_OPERATION_NAME, operation.to_owned()));
        }
        let span = telemetry.tracer.span_builder(format!("{service}.{operation}"));
        let span = span.with_kind(SpanKind::Client).with_attributes(attributes);
        let context = Context::current_with_span(span.start(&telemetry.tracer));
        Self { context, began: Instant::now(), operation: operation.to_owned(), of_table }
    }

    fn end(&self, telemetry: &Telemetry, response: Option<&HttpResponse>, has_failed: bool) {
        let span = self.context.span();
        let header = |name| response.and_then(|response| response.headers().get(name));
        if let Some(id) = header("x-amzn-requestid") {
            span.set_attribute(KeyValue::new(attribute::AWS_REQUEST_ID, id.to_owned()));
        }
        let mut told = vec![
            KeyValue::new(attribute::DB_SYSTEM_NAME, "aws.dynamodb"),
            KeyValue::new(attribute::DB_OPERATION_NAME, self.operation.clone()),
        ];
        if has_failed {
            let kind = response.map_or_else(|| "no_answer".to_owned(), error_type);
            if kind != CONDITION {
                span.set_status(Status::error(""));
            }
            let kind = KeyValue::new(attribute::ERROR_TYPE, kind);
            span.set_attribute(kind.clone());
            told.push(kind);
        }
        span.end();
        if self.of_table {
            telemetry.operations.record(self.began.elapsed().as_secs_f64(), &told);
        }
    }
}

/// The error's name in the answer, else the status.
fn error_type(response: &HttpResponse) -> String {
    let body = response.body().bytes().unwrap_or_default();
    let named = serde_json::from_slice::<Value>(body).ok();
    let named =
        named.as_ref().and_then(|answer| answer.get("__type")?.as_str()?.rsplit('#').next());
    named.map_or_else(|| response.status().as_u16().to_string(), str::to_owned)
}

impl Intercept for Calls {
    fn name(&self) -> &'static str {
        "Calls"
    }

    // Before that nobody knows which operation it is.
    fn read_before_serialization(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(telemetry) = get()
            && let Some(metadata) = bag.load::<Metadata>()
        {
            let call = Call::begin(telemetry, metadata);
            bag.interceptor_state().store_put(call);
        }
        Ok(())
    }

    fn read_after_serialization(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(call) = bag.load::<Call>()
            && call.of_table
            && let Some(body) = context.request().body().bytes()
            && let Ok(request) = serde_json::from_slice::<Value>(body)
            && let Some(name) = request.get("TableName").and_then(Value::as_str)
        {
            let names = Array::String(vec![name.to_owned().into()]);
            let names = opentelemetry::Value::Array(names);
            let names = KeyValue::new(attribute::AWS_DYNAMODB_TABLE_NAMES, names);
            let span = call.context.span();
            span.set_attribute(names);
            span.set_attribute(KeyValue::new(attribute::DB_COLLECTION_NAME, name.to_owned()));
        }
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let (Some(telemetry), Some(call)) = (get(), bag.load::<Call>()) {
            let has_failed = context.output_or_error().is_none_or(|outcome| outcome.is_err());
            call.end(telemetry, context.response(), has_failed);
        }
        Ok(())
    }
}
