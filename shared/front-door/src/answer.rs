//! Answers that lose no header.

use http::{HeaderValue, Response, header};
use serde_json::{Map, Value};

/// The form of an answer, which follows from the form of the event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Form {
    /// An API or a function URL.
    Gateway,
    /// Load balancer with multi-value headers.
    LoadBalancerOfLists,
    /// Load balancer without: one value a header.
    LoadBalancer,
}

/// The response with the values of a repeated header in one line (RFC 9110 §5.3): of several,
/// `lambda_http` passes on the first. `Set-Cookie` may be repeated only.
pub(crate) fn joined(mut response: Response<String>) -> Response<String> {
    let headers = response.headers_mut();
    let repeated = headers.keys().filter(|name| {
        *name != header::SET_COOKIE && headers.get_all(*name).iter().nth(1).is_some()
    });
    for name in repeated.cloned().collect::<Vec<_>>() {
        let values: Vec<_> = headers.get_all(&name).iter().map(HeaderValue::as_bytes).collect();
        if let Ok(line) = HeaderValue::from_bytes(&values.join(&b", "[..])) {
            headers.insert(name, line);
        }
    }
    response
}

/// The answer with its headers in the one form that its load balancer reads.
pub(crate) fn formed(mut answer: Value, form: Form) -> Value {
    let Some(members) = answer.as_object_mut() else { return answer };
    match form {
        Form::Gateway => {}
        Form::LoadBalancerOfLists => {
            members.remove("headers");
        }
        Form::LoadBalancer => {
            let lists = members.remove("multiValueHeaders");
            let lists = lists.as_ref().and_then(Value::as_object).into_iter().flatten();
            let single = lists.flat_map(|(name, values)| {
                let values = values.as_array().into_iter().flatten().cloned();
                values.enumerate().map(|(number, value)| (spelling(name, number), value))
            });
            members.insert("headers".to_owned(), single.collect::<Map<_, _>>().into());
        }
    }
    answer
}

/// The name in another mixture of capitals for each number: a map of single values holds a header
/// several times only under names that differ.
fn spelling(name: &str, number: usize) -> String {
    let mut bits = number;
    let spelt = name.chars().map(|letter| {
        let is_capital = letter.is_ascii_alphabetic() && bits & 1 == 1;
        bits >>= usize::from(letter.is_ascii_alphabetic());
        if is_capital { letter.to_ascii_uppercase() } else { letter }
    });
    spelt.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_headers_are_one_line_except_cookies() {
        let mut response = Response::new(String::new());
        for (name, value) in
            [("vary", "a"), ("set-cookie", "b"), ("vary", "c"), ("set-cookie", "d")]
        {
            response.headers_mut().append(name, HeaderValue::from_static(value));
        }
        let headers = joined(response).into_parts().0.headers;
        assert_eq!(headers["vary"], "a, c");
        assert_eq!(headers.len(), 3);
    }
}
