//! From the SDK to the collector, on the function's own runtime: the SDK's own processors use threads, which stand
//! still with the function.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::HttpConnector as _;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use lambda_http::http::{Request, Response};
use opentelemetry::Context;
use opentelemetry_http::{Bytes, HttpClient, HttpError};
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter as _;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{InstrumentKind, ManualReader, Pipeline, Temporality};
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter as _, SpanProcessor};

use crate::https::Https;
use crate::variable;

/// Spans kept for one invocation at most.
const MAX_SPANS: usize = 2048;

/// Those who send; a signal that nobody asked for has none.
#[derive(Debug)]
pub(super) struct Exporters {
    spans: Option<SpanExporter>,
    metrics: Option<MetricExporter>,
}

impl Exporters {
    /// As the variables say that `OpenTelemetry` defines; `None` if there is no collector.
    pub(super) fn from_environment(resource: &Resource) -> Option<Self> {
        if variable("OTEL_SDK_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true")) {
            return None;
        }
        let spans = is_on("TRACES")
            .then(|| SpanExporter::builder().with_http().with_http_client(Client).build());
        let metrics = is_on("METRICS")
            .then(|| MetricExporter::builder().with_http().with_http_client(Client).build());
        let mut spans = spans.and_then(built);
        if let Some(spans) = &mut spans {
            spans.set_resource(resource);
        }
        let metrics = metrics.and_then(built);
        (spans.is_some() || metrics.is_some()).then_some(Self { spans, metrics })
    }

    pub(super) fn temporality(&self) -> Temporality {
        self.metrics.as_ref().map_or_else(Temporality::default, MetricExporter::temporality)
    }

    /// Both at once.
    pub(super) async fn send(
        &self,
        spans: Vec<SpanData>,
        metrics: Option<ResourceMetrics>,
    ) -> OTelSdkResult {
        let sent_spans = async {
            match &self.spans {
                Some(exporter) if !spans.is_empty() => exporter.export(spans).await,
                Some(_) | None => Ok(()),
            }
        };
        let sent_metrics = async {
            match (&self.metrics, metrics) {
                (Some(exporter), Some(metrics)) => exporter.export(&metrics).await,
                (Some(_) | None, _) => Ok(()),
            }
        };
        let (spans, metrics) = tokio::join!(sent_spans, sent_metrics);
        spans.and(metrics)
    }
}

/// Whether somebody asked for a signal.
fn is_on(signal: &str) -> bool {
    let own = variable(&format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"));
    let has_endpoint = own.or_else(|| variable("OTEL_EXPORTER_OTLP_ENDPOINT")).is_some();
    let exporter = variable(&format!("OTEL_{signal}_EXPORTER"));
    has_endpoint && exporter.is_none_or(|exporter| exporter == "otlp")
}

fn built<T>(exporter: Result<T, impl std::fmt::Display>) -> Option<T> {
    exporter.map_err(|error| tracing::error!(%error, "telemetry is off")).ok()
}

/// Sends by the client that the AWS SDKs use.
#[derive(Clone, Copy, Debug)]
struct Client;

impl HttpClient for Client {
    fn send_bytes<'c, 'f>(
        &'c self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'f>>
    where
        'c: 'f,
        Self: 'f,
    {
        Box::pin(async move {
            let request = HttpRequest::try_from(request.map(SdkBody::from))?;
            let answer = Https.call(request).await?;
            let status = answer.status().as_u16();
            let body = ByteStream::new(answer.into_body()).collect().await?.into_bytes();
            Ok(Response::builder().status(status).body(body)?)
        })
    }
}

/// The spans that ended since they were taken last.
#[derive(Clone, Debug, Default)]
pub(super) struct Spans(Arc<Mutex<Vec<SpanData>>>);

impl Spans {
    pub(super) fn take(&self) -> Vec<SpanData> {
        mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl SpanProcessor for Spans {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        let mut spans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if span.span_context.is_sampled() && spans.len() < MAX_SPANS {
            spans.push(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Reads the instruments when asked.
#[derive(Clone, Debug)]
pub(super) struct Reader(Arc<ManualReader>);

impl Reader {
    pub(super) fn new(temporality: Temporality) -> Self {
        Self(Arc::new(ManualReader::builder().with_temporality(temporality).build()))
    }

    /// What the instruments show; nothing if they cannot be read.
    pub(super) fn collect(&self) -> Option<ResourceMetrics> {
        let mut metrics = ResourceMetrics::default();
        self.0.collect(&mut metrics).is_ok().then_some(metrics)
    }
}

impl MetricReader for Reader {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(metrics)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}
