//! The OpenAPI document, served as it was written: `openapi.json` is kept by hand. The tests below say where
//! it falls behind the routes and the problem codes.

use bytes::Bytes;
use http::Response;
use http::header::{CONTENT_TYPE, HeaderValue};

const DOCUMENT: &[u8] = include_bytes!("openapi.json");

/// The answer to a request for the document.
pub(super) fn answer() -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(DOCUMENT));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use serde_json::{Value, json};

    use super::*;
    use crate::http::metrics;
    use crate::http::problem::{Code, Problem};
    use crate::http::route::{Caller, Route};
    use crate::store::ops::Stats;
    use crate::time::UnixMillis;

    fn document() -> Value {
        serde_json::from_slice(answer().body()).unwrap()
    }

    /// The operations of the document: path, method in capitals, and what is said of it.
    fn operations(document: &Value) -> Vec<(String, String, Value)> {
        let mut all = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                if method != "parameters" {
                    all.push((path.clone(), method.to_ascii_uppercase(), operation.clone()));
                }
            }
        }
        all
    }

    fn each_reference(value: &Value, visit: &mut impl FnMut(&str)) {
        match value {
            Value::Object(fields) => {
                if let Some(target) = fields.get("$ref") {
                    visit(target.as_str().unwrap());
                }
                fields.values().for_each(|value| each_reference(value, visit));
            }
            Value::Array(items) => items.iter().for_each(|value| each_reference(value, visit)),
            _ => {}
        }
    }

    /// What a value refers to, or the value itself.
    fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
        match value.get("$ref") {
            Some(target) => {
                document.pointer(target.as_str().unwrap().strip_prefix('#').unwrap()).unwrap()
            }
            None => value,
        }
    }

    /// The codes that a response of the document names.
    fn codes(response: &Value) -> BTreeSet<String> {
        let schema = &response["content"]["application/problem+json"]["schema"];
        let named = schema["allOf"][1]["properties"]["code"]["enum"].as_array();
        named.into_iter().flatten().map(|code| code.as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn it_is_json_of_this_version() {
        let document = document();
        assert_eq!(document["openapi"], "3.1.0");
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    }

    #[test]
    fn it_has_every_route_with_its_methods_and_nothing_else() {
        let documented: BTreeSet<_> =
            operations(&document()).into_iter().map(|(path, method, _)| (path, method)).collect();
        let routed: BTreeSet<_> = Route::each()
            .flat_map(|route| {
                let pair = move |method: &str| (route.template().to_owned(), method.to_owned());
                route.calls().iter().map(move |(method, _)| pair(method.as_str()))
            })
            .collect();
        assert_eq!(documented, routed);
    }

    #[test]
    fn each_call_asks_for_the_token_that_its_caller_has() {
        for (path, method, operation) in operations(&document()) {
            let route = Route::each().find(|route| route.template() == path).unwrap();
            let caller = route.call(&method.parse().unwrap()).unwrap().caller();
            let expected = match caller {
                Caller::Anyone => json!([]),
                Caller::Site => json!([{ "siteKey": [] }, {}]),
                Caller::Guest => json!([{ "guestToken": [] }]),
                Caller::GuestOrOperator => json!([{ "guestToken": [] }, { "operator": [] }]),
                Caller::Operator => json!([{ "operator": [] }]),
            };
            assert_eq!(operation["security"], expected, "{method} {path}");
        }
    }

    #[test]
    fn it_names_every_problem_code_and_no_other() {
        let document = document();
        let schemas = &document["components"]["schemas"];
        let codes: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(schemas["ProblemCode"]["enum"], json!(codes));
        let description = schemas["ProblemCode"]["description"].as_str().unwrap();
        for code in Code::ALL {
            let line = format!("- `{}` ({}): ", code.as_str(), code.status());
            assert!(description.contains(&line), "{line}");
        }
    }

    #[test]
    fn each_codes_example_is_what_is_answered() {
        let document = document();
        for code in Code::ALL {
            let example = &document["components"]["examples"][code.as_str()]["value"];
            let mut problem = match code {
                Code::MethodNotAllowed => {
                    Problem::method_not_allowed(Route::each().next().unwrap().allow())
                }
                _ => Problem::new(*code, example["detail"].as_str().unwrap()),
            };
            if let Some(seconds) = example["retryAfterSeconds"].as_u64() {
                problem = problem.after(seconds);
            }
            let answer = problem.response(example["requestId"].as_str().unwrap());
            let body: Value = serde_json::from_slice(answer.body()).unwrap();
            assert_eq!(body, *example);
        }
    }

    #[test]
    fn each_code_stands_under_its_status() {
        let document = document();
        let status_of = |name: &str| {
            Code::ALL
                .iter()
                .find(|code| code.as_str() == name)
                .map(|code| code.status().to_string())
        };
        let mut named = BTreeSet::new();
        for (path, method, operation) in operations(&document) {
            for (status, response) in operation["responses"].as_object().unwrap() {
                let codes = codes(resolve(&document, response));
                assert_eq!(codes.is_empty(), status.starts_with('2'), "{method} {path} {status}");
                for code in codes {
                    assert_eq!(status_of(&code).as_ref(), Some(status), "{method} {path} {code}");
                    named.insert(code);
                }
            }
        }
        // No call that is listed has a method that is not.
        named.insert(Code::MethodNotAllowed.as_str().to_owned());
        assert_eq!(named, Code::ALL.iter().map(|code| code.as_str().to_owned()).collect());
    }

    #[test]
    fn it_names_every_counter_and_gauge() {
        let document = document();
        let documented = &document["components"]["schemas"]["Stats"]["properties"];
        let answered = metrics::as_json(&Stats::default(), UnixMillis::new(0));
        let names = |value: &Value| -> BTreeSet<String> {
            value.as_object().unwrap().keys().cloned().collect()
        };
        for kind in ["counters", "gauges"] {
            assert_eq!(names(&documented[kind]["properties"]), names(&answered[kind]));
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        let mut references = 0;
        each_reference(&document, &mut |target| {
            references += 1;
            let pointer = target.strip_prefix('#');
            assert!(pointer.and_then(|pointer| document.pointer(pointer)).is_some(), "{target}");
        });
        assert!(references > 100);
    }
}
