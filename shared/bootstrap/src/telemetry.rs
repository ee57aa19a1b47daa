//! Traces and metrics by `OpenTelemetry` (docs/observability.md): built in by the feature `otel`, on where the
//! environment names a collector.
//!
//! What is told names functions, routes, tables and statuses: no user, session, address or agent.

mod calls;
mod export;
mod invocation;

use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use opentelemetry::metrics::{Counter, Histogram, MeterProvider as _};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use opentelemetry_semantic_conventions::{attribute, metric};

pub(crate) use self::calls::Calls;
use self::export::{Exporters, Reader, Spans};
pub(crate) use self::invocation::{Observe, answered};
use crate::variable;

/// How long a function waits for its collector after each invocation; what is not taken by then is lost.
const FLUSH_LIMIT: Duration = Duration::from_millis(300);

/// Bounds of durations in seconds, as the semantic conventions advise for HTTP.
const DURATIONS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// What is told, and to whom.
pub(crate) struct Telemetry {
    tracer: SdkTracer,
    spans: Spans,
    reader: Reader,
    exporters: Exporters,
    invocations: Histogram<f64>,
    requests: Histogram<f64>,
    operations: Histogram<f64>,
    cold_starts: Counter<u64>,
    is_cold: AtomicBool,
    // Alive as long as what they made.
    _tracers: SdkTracerProvider,
    _meters: SdkMeterProvider,
}

/// `None` if the environment names no collector, or turns telemetry off.
pub(crate) fn get() -> Option<&'static Telemetry> {
    static MADE: OnceLock<Option<Telemetry>> = OnceLock::new();
    MADE.get_or_init(Telemetry::from_environment).as_ref()
}

impl Telemetry {
    fn from_environment() -> Option<Self> {
        let resource = resource();
        let exporters = Exporters::from_environment(&resource)?;
        let (spans, reader) = (Spans::default(), Reader::new(exporters.temporality()));
        let tracers = SdkTracerProvider::builder()
            .with_resource(resource.clone())
            .with_span_processor(spans.clone())
            .build();
        let meters =
            SdkMeterProvider::builder().with_resource(resource).with_reader(reader.clone()).build();
        let scope = InstrumentationScope::builder("sesam").with_version(env!("CARGO_PKG_VERSION"));
        let scope = scope.build();
        let meter = meters.meter_with_scope(scope.clone());
        let durations = |name| {
            meter.f64_histogram(name).with_unit("s").with_boundaries(DURATIONS.to_vec()).build()
        };
        Some(Self {
            tracer: tracers.tracer_with_scope(scope),
            spans,
            reader,
            exporters,
            invocations: durations(metric::FAAS_INVOKE_DURATION),
            requests: durations(metric::HTTP_SERVER_REQUEST_DURATION),
            operations: durations(metric::DB_CLIENT_OPERATION_DURATION),
            cold_starts: meter
                .u64_counter(metric::FAAS_COLDSTARTS)
                .with_unit("{coldstart}")
                .build(),
            is_cold: AtomicBool::new(true),
            _tracers: tracers,
            _meters: meters,
        })
    }

    /// Hands over what there is, within [`FLUSH_LIMIT`].
    async fn flush(&self) {
        let sent = self.exporters.send(self.spans.take(), self.reader.collect());
        match tokio::time::timeout(FLUSH_LIMIT, sent).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "traces or metrics are lost"),
            Err(_) => tracing::warn!("traces or metrics are lost: the collector is too slow"),
        }
    }
}

/// Who tells: what Lambda says of the function, and what `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` say.
fn resource() -> Resource {
    let given = variable("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
    let is_named = variable("OTEL_SERVICE_NAME").is_some() || given.contains("service.name=");
    let of = |key, name| variable(name).map(|value| KeyValue::new(key, value));
    let memory = variable("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").and_then(|text| text.parse().ok());
    let memory = memory.map(|megabytes: i64| {
        KeyValue::new(attribute::FAAS_MAX_MEMORY, megabytes.saturating_mul(1024 * 1024))
    });
    let attributes = [
        Some(KeyValue::new(attribute::CLOUD_PROVIDER, "aws")),
        Some(KeyValue::new(attribute::CLOUD_PLATFORM, "aws_lambda")),
        of(attribute::CLOUD_REGION, "AWS_REGION"),
        of(attribute::FAAS_NAME, "AWS_LAMBDA_FUNCTION_NAME"),
        of(attribute::FAAS_VERSION, "AWS_LAMBDA_FUNCTION_VERSION"),
        of(attribute::FAAS_INSTANCE, "AWS_LAMBDA_LOG_STREAM_NAME"),
        memory,
    ];
    let builder = Resource::builder().with_attributes(attributes.into_iter().flatten());
    match variable("AWS_LAMBDA_FUNCTION_NAME") {
        Some(name) if !is_named => builder.with_service_name(name).build(),
        Some(_) | None => builder.build(),
    }
}
