//! What a collector is sent of a refresh by the built function, where its environment names one, and that it holds
//! up and tells nothing that it should not.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::Uri;
use local::dynamodb::SESSIONS_TABLE;
use local::functions::Binaries;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::{Value, json};
use testkit::events::{cases, serve_tables};
use tokio::net::TcpListener;

use crate::folder;

/// A collector that keeps the bodies it is sent, by path.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<(String, Bytes)>>>);

impl Collector {
    async fn serve(&self) -> String {
        let keep = async |State(collector): State<Self>, uri: Uri, body: Bytes| {
            collector.0.lock().unwrap().push((uri.path().to_owned(), body));
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(keep).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        url
    }

    /// Of one kind, decoded, once there is any: the function sends them after it has answered.
    async fn received<T: prost::Message + Default>(&self, path: &str) -> Vec<T> {
        loop {
            let kept = self.0.lock().unwrap().clone();
            let bodies = kept.into_iter().filter(|(known, _)| known == path);
            let decoded: Vec<_> = bodies.map(|(_, body)| T::decode(body).unwrap()).collect();
            if !decoded.is_empty() {
                return decoded;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn spans(&self) -> (Vec<KeyValue>, Vec<Span>) {
        let mut requests = self.received::<ExportTraceServiceRequest>("/v1/traces").await;
        let resource = requests.remove(0).resource_spans.remove(0);
        let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans).collect();
        (resource.resource.unwrap().attributes, spans)
    }

    async fn metrics(&self) -> Vec<Metric> {
        let requests = self.received::<ExportMetricsServiceRequest>("/v1/metrics").await;
        let resources = requests.into_iter().flat_map(|request| request.resource_metrics);
        let scopes = resources.flat_map(|resource| resource.scope_metrics);
        scopes.flat_map(|scope| scope.metrics).collect()
    }
}

/// Attributes as JSON.
fn said(attributes: &[KeyValue]) -> Value {
    let text = |value: &Any| match value {
        Any::StringValue(text) => json!(text),
        Any::BoolValue(flag) => json!(flag),
        Any::IntValue(number) => json!(number),
        other => json!(format!("{other:?}")),
    };
    let values = attributes.iter().map(|it| {
        let value = it.value.as_ref().and_then(|value| value.value.as_ref()).unwrap();
        (it.key.clone(), text(value))
    });
    Value::Object(values.collect())
}

/// Refreshes the events' session; the answer.
async fn refresh(own: &[(&str, &str)], trace: Option<&str>) -> Value {
    let case = cases().into_iter().find(|case| case.path == "refresh/ok.json").unwrap();
    let mut event = case.event;
    if let Some(trace) = trace {
        event["headers"]["traceparent"] = trace.into();
    }
    let settings =
        [("API_DOMAIN", "https://api.example.com"), ("WEBSITE_DOMAIN", "https://example.com")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let binaries = Binaries::new(folder(), settings.into(), serve_tables().await);
    let function = binaries.function("RefreshFunction", own).unwrap();
    let answer = function.invoke(event).await.unwrap();
    // It is done with the first before it takes a second. By themselves exporters wait for 10 s.
    let second = tokio::time::timeout(Duration::from_secs(5), function.invoke(json!({}))).await;
    let second = second.expect("the collector is not waited for");
    assert_eq!(second.unwrap_err().error_type, "UnrecognisedEvent");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_is_sent_a_refresh_with_its_parent_and_its_one_write() {
    let collector = Collector::default();
    let url = collector.serve().await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let answer = refresh(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &url)], Some(trace)).await;
    assert_eq!(answer["statusCode"], 200);

    let (resource, spans) = collector.spans().await;
    let resource = said(&resource);
    assert_eq!(resource["service.name"], "RefreshFunction");
    assert_eq!(resource["cloud.provider"], "aws");
    assert_eq!(resource["faas.max_memory"], 256 * 1024 * 1024);
    let named = |name: &str| {
        let mut found = spans.iter().filter(|span| span.name == name);
        let span = found.next().unwrap_or_else(|| panic!("no {name} in {spans:?}"));
        assert!(found.next().is_none(), "{name} twice");
        (span, said(&span.attributes))
    };
    let (server, attributes) = named("POST /auth/session/refresh");
    assert_eq!(server.kind(), SpanKind::Server);
    assert_eq!(hex(&server.trace_id), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(hex(&server.parent_span_id), "b7ad6b7169203331");
    assert_eq!(attributes["http.request.method"], "POST");
    assert_eq!(attributes["http.route"], "/auth/session/refresh");
    assert_eq!(attributes["http.response.status_code"], 200);
    assert_eq!(attributes["faas.trigger"], "http");
    assert_eq!(attributes["faas.coldstart"], true);
    assert_eq!(
        attributes["cloud.resource_id"],
        "arn:aws:lambda:eu-west-1:123456789012:function:RefreshFunction"
    );
    let (write, attributes) = named("DynamoDB.UpdateItem");
    assert_eq!(write.kind(), SpanKind::Client);
    assert_eq!((&write.trace_id, &write.parent_span_id), (&server.trace_id, &server.span_id));
    assert_eq!(attributes["db.system.name"], "aws.dynamodb");
    assert_eq!(attributes["db.operation.name"], "UpdateItem");
    assert_eq!(attributes["db.collection.name"], SESSIONS_TABLE);
    assert_eq!(attributes["rpc.method"], "DynamoDB/UpdateItem");

    let metrics = collector.metrics().await;
    for (name, unit) in [
        ("faas.invoke_duration", "s"),
        ("http.server.request.duration", "s"),
        ("db.client.operation.duration", "s"),
        ("faas.coldstarts", "{coldstart}"),
    ] {
        let metric = metrics.iter().find(|metric| metric.name == name);
        assert_eq!(metric.unwrap_or_else(|| panic!("no {name}")).unit, unit);
    }
    let duration = metrics.iter().find(|metric| metric.name == "http.server.request.duration");
    let Some(Data::Histogram(histogram)) = &duration.unwrap().data else { panic!("{duration:?}") };
    let expected = json!({
        "http.request.method": "POST", "http.route": "/auth/session/refresh",
        "http.response.status_code": 200, "url.scheme": "https",
    });
    assert_eq!(said(&histogram.data_points[0].attributes), expected);
    assert_eq!(histogram.data_points[0].count, 1);

    // Neither who it is nor what proves it, nor where the request came from.
    let told = format!("{:?}", collector.0.lock().unwrap());
    let cookie = answer["multiValueHeaders"]["set-cookie"].clone();
    let cookies = answer["cookies"].as_array().or_else(|| cookie.as_array()).unwrap();
    let tokens = cookies.iter().filter_map(|cookie| cookie.as_str()?.split(['=', ';']).nth(1));
    let tokens: Vec<_> = tokens.filter(|token| token.len() > 16).collect();
    assert!(!tokens.is_empty(), "{answer}");
    let session = testkit::events::session();
    let (user, handle) = (session.subject.user_id.to_string(), session.handle.to_string());
    for secret in tokens.into_iter().chain([&*user, &*handle, "192.0.2.1", "EAHGwonknpwF"]) {
        assert!(!told.contains(secret), "{secret} in {told}");
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_hangs_or_is_not_there_costs_a_refresh_nothing() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hangs = format!("http://{}", silent.local_addr().unwrap());
    for url in [&*hangs, "http://127.0.0.1:1", "no address"] {
        // Two invocations, each of which gives up on the collector within 300 ms; the process would be ended at 5 s.
        let answer = refresh(&[("OTEL_EXPORTER_OTLP_ENDPOINT", url)], None).await;
        assert_eq!(answer["statusCode"], 200, "{url}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_who_is_not_asked_for() {
    let collector = Collector::default();
    let url = collector.serve().await;
    for own in [
        [("OTEL_EXPORTER_OTLP_ENDPOINT", &*url), ("OTEL_SDK_DISABLED", "true")],
        [("OTEL_SERVICE_NAME", "refresh"), ("OTEL_TRACES_SAMPLER", "always_on")],
    ] {
        assert_eq!(refresh(&own, None).await["statusCode"], 200);
    }
    assert!(collector.0.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_standard_variables_count() {
    let collector = Collector::default();
    let url = collector.serve().await;
    let own = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*url),
        ("OTEL_SERVICE_NAME", "sessions"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
        ("OTEL_METRICS_EXPORTER", "none"),
    ];
    // A parent that nobody takes note of is none, where the sampler does not ask for it.
    refresh(&own, None).await;
    let (resource, _) = collector.spans().await;
    let resource = said(&resource);
    assert_eq!(resource["service.name"], "sessions");
    assert_eq!(resource["deployment.environment.name"], "test");
    let paths =
        collector.0.lock().unwrap().iter().map(|(path, _)| path.clone()).collect::<Vec<_>>();
    assert!(paths.iter().all(|path| path == "/v1/traces"), "{paths:?}");

    let collector = Collector::default();
    let url = collector.serve().await;
    let own = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*url), ("OTEL_TRACES_SAMPLER", "always_off")];
    refresh(&own, None).await;
    collector.metrics().await;
    let kept = collector.0.lock().unwrap();
    assert!(kept.iter().all(|(path, _)| path == "/v1/metrics"), "a trace that was not sampled");
}
