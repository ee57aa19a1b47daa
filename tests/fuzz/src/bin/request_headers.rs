//! Any `Cookie` and `Authorization` header: never a panic, never a session.
//!
//! The input's first line is the `Authorization` header, every further line a `Cookie` header.
#![no_main]

use http::{HeaderValue, Request, header};
use libfuzzer_sys::fuzz_target;
use session::http::{VerifyOptions, verify};
use session::model::Timestamp;
use session_fuzz::{run, verifier};

fuzz_target!(|input: &[u8]| {
    let mut lines = input.split(|byte| *byte == b'\n');
    let mut request = Request::new(());
    if let Some(Ok(value)) = lines.next().map(HeaderValue::from_bytes) {
        request.headers_mut().insert(header::AUTHORIZATION, value);
    }
    for value in lines.filter_map(|line| HeaderValue::from_bytes(line).ok()) {
        request.headers_mut().append(header::COOKIE, value);
    }
    let now = Timestamp::from_secs(4_102_444_800); // 2100: no token of the corpus is valid any more
    assert!(run(verify(verifier(), &request, VerifyOptions::default(), now)).is_err());
});
