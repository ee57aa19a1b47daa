//! One span and one duration for each invocation.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::task::{Poll, ready};

use lambda_http::http::StatusCode;
use lambda_http::lambda_runtime::LambdaInvocation;
use lambda_http::tower::{Layer, Service};
use lambda_http::{Error, Response};
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState,
    Tracer as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_semantic_conventions::attribute;
use serde_json::Value;
use tokio::time::Instant;

use super::Telemetry;

/// The methods that have names of their own (RFC 9110 §9, RFC 5789).
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];

/// Observes a runtime's invocations, and hands over what was seen once each was answered.
pub(crate) struct Observe(pub(crate) &'static Telemetry);

/// A runtime's service that is observed.
pub(crate) struct Observed<S> {
    inner: S,
    telemetry: &'static Telemetry,
}

impl<S> Layer<S> for Observe {
    type Service = Observed<S>;

    fn layer(&self, inner: S) -> Observed<S> {
        Observed { inner, telemetry: self.0 }
    }
}

impl<S> Service<LambdaInvocation> for Observed<S>
where
    S: Service<LambdaInvocation, Response = (), Error = Error>,
{
    type Response = ();
    type Error = Error;
    type Future = Observing<S::Future>;

    fn poll_ready(&mut self, task: &mut std::task::Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, invocation: LambdaInvocation) -> Self::Future {
        let invoked = Invoked::begin(self.telemetry, &invocation);
        let guard = invoked.context.clone().attach();
        let inner = Box::pin(self.inner.call(invocation));
        drop(guard);
        Observing::Working(invoked, inner)
    }
}

/// An invocation, and after it what was seen of it on its way to the collector.
pub(crate) enum Observing<F> {
    Working(Invoked, Pin<Box<F>>),
    Telling(Option<Result<(), Error>>, Pin<Box<dyn Future<Output = ()> + Send>>),
}

impl<F: Future<Output = Result<(), Error>>> Future for Observing<F> {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, task: &mut std::task::Context<'_>) -> Poll<Self::Output> {
        if let Self::Working(invoked, inner) = &mut *self {
            let guard = invoked.context.clone().attach();
            let answered = ready!(inner.as_mut().poll(task));
            drop(guard);
            invoked.end();
            let flush = invoked.telemetry.flush();
            *self = Self::Telling(Some(answered), Box::pin(flush));
        }
        match &mut *self {
            Self::Telling(answered, flush) => {
                ready!(flush.as_mut().poll(task));
                // Of a future that is polled once too often nothing is expected.
                Poll::Ready(answered.take().unwrap_or(Ok(())))
            }
            Self::Working(..) => Poll::Pending,
        }
    }
}

/// The status that an invocation was answered with, which only its handler sees; 0 before.
#[derive(Clone, Default)]
struct Answered(Arc<AtomicU16>);

/// Takes note of an answer.
pub(crate) fn answered(response: Response<String>) -> Response<String> {
    if let Some(Answered(status)) = Context::current().get() {
        status.store(response.status().as_u16(), Ordering::Relaxed);
    }
    response
}

/// An invocation that is under way.
pub(crate) struct Invoked {
    telemetry: &'static Telemetry,
    context: Context,
    began: Instant,
    trigger: &'static str,
    http: Option<Http>,
    answered: Answered,
}

impl Invoked {
    fn begin(telemetry: &'static Telemetry, invocation: &LambdaInvocation) -> Self {
        let event: Value = serde_json::from_slice(&invocation.body).unwrap_or_default();
        let lambda = &invocation.context;
        let http = Http::of(&event);
        let trigger = match &http {
            Some(_) => "http",
            None if event.get("source").is_some_and(|it| it == "aws.events") => "timer",
            None => "other",
        };
        let is_cold = telemetry.is_cold.swap(false, Ordering::Relaxed);
        // Without the alias.
        let arn = lambda.invoked_function_arn.split(':').take(7).collect::<Vec<_>>().join(":");
        let mut attributes = vec![
            KeyValue::new(attribute::FAAS_TRIGGER, trigger),
            KeyValue::new(attribute::FAAS_INVOCATION_ID, lambda.request_id.clone()),
            KeyValue::new(attribute::FAAS_COLDSTART, is_cold),
            KeyValue::new(attribute::CLOUD_RESOURCE_ID, arn),
        ];
        attributes.extend(http.iter().flat_map(Http::attributes));
        let name =
            http.as_ref().map_or_else(|| lambda.env_config.function_name.clone(), Http::name);
        let parent = parent(&event, lambda.xray_trace_id.as_deref());
        let span = telemetry.tracer.span_builder(name);
        let span = span.with_kind(SpanKind::Server).with_attributes(attributes);
        let span = span.start_with_context(&telemetry.tracer, &parent);
        if is_cold {
            telemetry.cold_starts.add(1, &[KeyValue::new(attribute::FAAS_TRIGGER, trigger)]);
        }
        let answered = Answered::default();
        let context = parent.with_span(span).with_value(answered.clone());
        Self { telemetry, context, began: Instant::now(), trigger, http, answered }
    }

    fn end(&self) {
        let took = self.began.elapsed().as_secs_f64();
        let span = self.context.span();
        let trigger = [KeyValue::new(attribute::FAAS_TRIGGER, self.trigger)];
        self.telemetry.invocations.record(took, &trigger);
        let status = StatusCode::from_u16(self.answered.0.load(Ordering::Relaxed)).ok();
        if let (Some(http), Some(status)) = (&self.http, status) {
            let mut told = http.attributes();
            let code =
                KeyValue::new(attribute::HTTP_RESPONSE_STATUS_CODE, i64::from(status.as_u16()));
            span.set_attribute(code.clone());
            told.push(code);
            if status.is_server_error() {
                let kind = KeyValue::new(attribute::ERROR_TYPE, status.as_str().to_owned());
                span.set_status(Status::error(""));
                span.set_attribute(kind.clone());
                told.push(kind);
            }
            self.telemetry.requests.record(took, &told);
        }
        span.end();
    }
}

/// What an event says of a request; neither its path, which may name a tenant and a session, nor its client.
struct Http {
    method: &'static str,
    route: Option<String>,
}

impl Http {
    /// `None` for events that are no requests, and for those that ask an authorizer about one.
    fn of(event: &Value) -> Option<Self> {
        let context = event.get("requestContext")?;
        let said = |name| event.get(name).and_then(Value::as_str);
        if said("type").is_some() {
            return None;
        }
        let method = context.pointer("/http/method").and_then(Value::as_str);
        let method = method.or_else(|| said("httpMethod"))?;
        let known = METHODS.into_iter().find(|known| *known == method).unwrap_or("_OTHER");
        let route = said("routeKey").and_then(|key| Some(key.split_once(' ')?.1));
        let route = route.or_else(|| said("resource")).map(str::to_owned);
        Some(Self { method: known, route })
    }

    fn name(&self) -> String {
        let method = if self.method == "_OTHER" { "HTTP" } else { self.method };
        self.route.as_ref().map_or_else(|| method.to_owned(), |route| format!("{method} {route}"))
    }

    fn attributes(&self) -> Vec<KeyValue> {
        let method = KeyValue::new(attribute::HTTP_REQUEST_METHOD, self.method);
        let scheme = KeyValue::new(attribute::URL_SCHEME, "https");
        let route = self.route.clone().map(|route| KeyValue::new(attribute::HTTP_ROUTE, route));
        [Some(method), Some(scheme), route].into_iter().flatten().collect()
    }
}

/// The span that an invocation belongs to: the request's `traceparent` (W3C Trace Context), else that of Lambda if
/// X-Ray takes note of it. With X-Ray off Lambda says that nobody does, which would turn off every trace.
fn parent(event: &Value, xray: Option<&str>) -> Context {
    let members = |name| event.get(name).and_then(Value::as_object).into_iter().flatten();
    let headers = members("headers").chain(members("multiValueHeaders"));
    let headers = headers.filter_map(|(name, value)| {
        let value = value.as_str().or_else(|| value.get(0)?.as_str())?;
        Some((name.to_ascii_lowercase(), value.to_owned()))
    });
    let headers =
        headers.filter(|(name, _)| ["traceparent", "tracestate"].contains(&name.as_str()));
    let headers: HashMap<String, String> = headers.collect();
    let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), &headers);
    if parent.span().span_context().is_valid() {
        return parent;
    }
    match xray.and_then(of_xray) {
        Some(sampled) => Context::new().with_remote_span_context(sampled),
        None => Context::new(),
    }
}

/// The span of `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1`.
fn of_xray(header: &str) -> Option<SpanContext> {
    let member = |name: &str| {
        let members = header.split(';').filter_map(|member| member.trim().split_once('='));
        members.clone().find(|(known, _)| *known == name).map(|(_, value)| value)
    };
    if member("Sampled")? != "1" {
        return None;
    }
    let root = member("Root")?.strip_prefix("1-")?.replace('-', "");
    let trace = TraceId::from_hex(&root).ok()?;
    let span = SpanId::from_hex(member("Parent")?).ok()?;
    let context = SpanContext::new(trace, span, TraceFlags::SAMPLED, true, TraceState::default());
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_is_named_after_its_route_and_never_after_its_path() {
        let name = |event: Value| Http::of(&event).map(|http| http.name());
        let http_api = |key: &str| {
            json!({
                "routeKey": key, "rawPath": "/auth/sessions/x",
                "requestContext": { "http": { "method": "DELETE" } },
            })
        };
        let rest = json!({
            "httpMethod": "GET", "resource": "/auth/{tenantId}/sessions", "path": "/auth/x/sessions",
            "requestContext": {},
        });
        let balancer =
            json!({ "httpMethod": "POST", "path": "/x", "requestContext": { "elb": {} } });
        let strange = json!({ "httpMethod": "BREW", "requestContext": { "elb": {} } });
        let question = json!({
            "type": "REQUEST", "routeKey": "GET /x",
            "requestContext": { "http": { "method": "GET" } },
        });
        for (event, expected) in [
            (
                http_api("DELETE /auth/sessions/{sessionHandle}"),
                Some("DELETE /auth/sessions/{sessionHandle}"),
            ),
            (http_api("$default"), Some("DELETE")),
            (rest, Some("GET /auth/{tenantId}/sessions")),
            (balancer, Some("POST")),
            (strange, Some("HTTP")),
            (question, None),
            (json!({ "userId": "alice" }), None),
            (Value::Null, None),
        ] {
            assert_eq!(name(event.clone()).as_deref(), expected, "{event}");
        }
    }

    #[test]
    fn x_ray_is_a_parent_only_if_it_takes_note() {
        let root = "Root=1-5759e988-bd862e3fe1be46a994272793";
        let found = of_xray(&format!("{root};Parent=53995c3f42cd8ad8;Sampled=1;Lineage=1:2:3"));
        let found = found.unwrap();
        assert_eq!(found.trace_id().to_string(), "5759e988bd862e3fe1be46a994272793");
        assert_eq!(found.span_id().to_string(), "53995c3f42cd8ad8");
        for header in [
            "",
            root,
            &format!("{root};Parent=53995c3f42cd8ad8;Sampled=0"),
            &format!("{root};Parent=53995c3f42cd8ad8"),
            &format!("{root};Parent=0000000000000000;Sampled=1"),
            &format!("{root};Parent=x;Sampled=1"),
            "Root=5759e988bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
        ] {
            assert!(of_xray(header).is_none(), "{header}");
        }
    }
}
