//! The demo page: embedded, except for the published SDK bundle, which an npm step puts on disk.

use std::path::Path;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};

const INDEX: &str = include_str!("../page/index.html");
const STYLE: &str = include_str!("../page/page.css");
const SCRIPT: &str = include_str!("../page/page.js");
const DEVICE_SCRIPT: &str = include_str!("../page/device.js");

/// Where `npm run build` puts the bundle.
const BUNDLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/page/dist/supertokens.js");

/// The page needs nothing from elsewhere.
const POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'self'; base-uri 'none'; frame-ancestors 'none'");

/// Whether the bundle was built.
pub(crate) fn has_bundle() -> bool {
    Path::new(BUNDLE).is_file()
}

/// The page's files; `None` for every other request.
pub(crate) fn file(request: &Request<Bytes>) -> Option<Response<Bytes>> {
    if request.method() != Method::GET {
        return None;
    }
    let (kind, body) = match request.uri().path() {
        "/" => ("text/html; charset=utf-8", Bytes::from_static(INDEX.as_bytes())),
        "/page.css" => ("text/css; charset=utf-8", Bytes::from_static(STYLE.as_bytes())),
        "/page.js" => ("text/javascript; charset=utf-8", Bytes::from_static(SCRIPT.as_bytes())),
        "/device.js" => {
            ("text/javascript; charset=utf-8", Bytes::from_static(DEVICE_SCRIPT.as_bytes()))
        }
        "/supertokens.js" => match std::fs::read(BUNDLE) {
            Ok(bundle) => ("text/javascript; charset=utf-8", Bytes::from(bundle)),
            Err(_) => return Some(without_bundle()),
        },
        _ => return None,
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Some(response)
}

fn without_bundle() -> Response<Bytes> {
    let mut response =
        Response::new(Bytes::from_static(b"// run `make page` to build this file\n"));
    *response.status_mut() = StatusCode::NOT_FOUND;
    let kind = HeaderValue::from_static("text/javascript; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
