//! Creates a session for whoever the caller says has signed in: by direct invocation, from any language.
//!
//! IAM decides who may invoke it; there is no route. The caller has checked a credential and hands over the
//! request that it came with. The answer has the tokens and a response that can be returned as it is. What
//! goes wrong is an answer, too, with a code and a sentence (docs/sign-in.md).

mod answer;
mod config;
mod incoming;
mod input;
mod refusal;

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};

use lambda_http::{Context, LambdaEvent, Request, service_fn};
use serde_json::value::to_raw_value;
use serde_json::{Map, Value};
use session::Sessions;
use session::http::{Response, create, refuse_foreign_sign_in};
use session::model::{Clock, Device, Timestamp};
use session::store::SignInStore;

pub use self::answer::Answer;
use self::answer::{Outcome, created, refused};
pub use self::config::CreateConfig;
use self::incoming::with_headers;
use self::input::{Input, Members};
use self::refusal::Refusal;

/// Answers one invocation.
pub async fn handle<S: SignInStore + Send + Sync + 'static>(
    sessions: &Arc<Sessions<S>>,
    config: &Arc<CreateConfig>,
    clock: &impl Clock,
    event: Value,
) -> Answer {
    match answer(sessions, config, clock.now(), event).await {
        Ok(answer) => answer,
        Err(refusal) => Answer::to_no_request(&refusal),
    }
}

/// Fails if what the client sent cannot be told.
async fn answer<S: SignInStore + Send + Sync + 'static>(
    sessions: &Arc<Sessions<S>>,
    config: &Arc<CreateConfig>,
    now: Timestamp,
    event: Value,
) -> Result<Answer, Refusal> {
    let mut said = Members::of(event)?;
    let client = incoming::take(&mut said)?;
    let is_asked_by_client = client.is_some();
    let client = client.unwrap_or_else(|| with_headers(&Map::new()));
    // The response goes through the client's front door, what came of it past that.
    let came_of_it = Arc::new(OnceLock::new());
    let parts = (Arc::clone(sessions), Arc::clone(config), Arc::clone(&came_of_it), said);
    let service = service_fn(move |request: Request| {
        let (sessions, config, came_of_it, said) = parts.clone();
        async move {
            let created = sign_in(&sessions, &config, now, said, &request, is_asked_by_client);
            let (outcome, response) = created
                .await
                .unwrap_or_else(|refusal| refused(sessions.config(), request.headers(), refusal));
            came_of_it.get_or_init(|| outcome);
            Ok::<_, Infallible>(response)
        }
    });
    let not_http = || {
        Refusal::input(
            "event is no HTTP request of an API, a function URL or a load balancer; of other \
             requests send the headers as headers",
        )
    };
    let client = to_raw_value(&client).map_err(|_| not_http())?;
    let client = LambdaEvent::new(client, Context::default());
    let response = front_door::invoke(service, client).await.map_err(|_| not_http())?;
    let response = serde_json::to_value(response).map_err(|_| not_http())?;
    let outcome = Arc::into_inner(came_of_it).and_then(OnceLock::into_inner);
    Ok(Answer { outcome: outcome.ok_or_else(not_http)?, response })
}

async fn sign_in<S: SignInStore>(
    sessions: &Sessions<S>,
    config: &CreateConfig,
    now: Timestamp,
    said: Members,
    request: &Request,
    is_asked_by_client: bool,
) -> Result<(Outcome, Response), Refusal> {
    let Input { new, allow_cross_site } = Input::read(said)?;
    if !config.allows(&new.subject.tenant_id) {
        return Err(Refusal::Tenant(new.subject.tenant_id));
    }
    let headers = request.headers();
    if is_asked_by_client
        && !allow_cross_site
        && let Some(response) = refuse_foreign_sign_in(sessions.config(), headers)
    {
        return Err(Refusal::CrossSite(Box::new(response)));
    }
    let network = front_door::network(request);
    let device = Device::of(sessions.config(), headers, network.as_deref());
    let subject = new.subject.clone();
    let session = create(sessions, request, new, device, now, &mut bootstrap::system_rng()).await;
    Ok(created(subject, session.map_err(Refusal::Session)?))
}
