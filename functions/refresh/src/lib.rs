//! `POST {base}/session/refresh`: exchanges a refresh token for a pair. Below it, what browsers ask that prove
//! a device key.

use lambda_http::{Request, Response};
use session::Sessions;
use session::http::{Endpoint, allow_website, not_found, preflight, prove_device, register_device};
use session::model::{Clock, Device};
use session::store::{PrivateKeyReader, SessionBinder, SessionRefresher};

/// Answers one request; what can go wrong is a response too.
pub async fn handle<S: SessionRefresher + SessionBinder + PrivateKeyReader>(
    sessions: &Sessions<S>,
    clock: &impl Clock,
    request: Request,
) -> Response<String> {
    let (now, config) = (clock.now(), sessions.config());
    if let Some(answer) = preflight(config, &request) {
        return answer;
    }
    let network = front_door::network(&request);
    let device = Device::of(config, request.headers(), network.as_deref());
    let mut response = match Endpoint::of(config, &request) {
        Some(Endpoint::Refresh) => session::http::refresh(sessions, &request, &device, now).await.0,
        // Of these two no page reads the answer.
        Some(Endpoint::Device) => return prove_device(sessions, &request, &device, now).await,
        Some(Endpoint::DeviceRegistration) => {
            return register_device(sessions, &request, &device, now).await;
        }
        Some(_) | None => return not_found(),
    };
    allow_website(config, request.headers(), response.headers_mut());
    response
}
