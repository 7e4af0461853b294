//! Holds every answer to the OpenAPI document: its status is one that the document has for the call, and its type and
//! its body are as it says.

use std::sync::LazyLock;

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::{Value, json};

use crate::http_client::Reply;

/// An answer of the document.
struct Answer {
    path: String,
    method: String,
    status: u16,
    /// Its type and what its body is like, if it has one.
    content: Option<(String, SchemaIndex)>,
}

struct Document {
    answers: Vec<Answer>,
    schemas: Schemas,
}

static DOCUMENT: LazyLock<Document> = LazyLock::new(|| {
    let text = include_str!("../../core/src/http/openapi.json");
    let document: Value = serde_json::from_str(text).expect("the document is JSON");
    let mut compiler = Compiler::new();
    compiler.enable_format_assertions();
    compiler.add_resource(NAME, document.clone()).expect("a resource");
    let (mut answers, mut schemas) = (Vec::new(), Schemas::new());
    for (path, item) in object(&document["paths"]) {
        for (method, operation) in object(item) {
            // What is common to all methods of a path stands beside them.
            let Some(responses) = operation.get("responses") else { continue };
            for (status, answer) in object(responses) {
                let at = answer["$ref"].as_str().map_or_else(
                    || pointer(&["paths", path, method, "responses", status]),
                    |shared| shared.trim_start_matches('#').to_owned(),
                );
                let content = document.pointer(&at).expect("what is referred to").get("content");
                let content = content.and_then(|all| object(all).next()).map(|(kind, _)| {
                    let at = format!("{NAME}#{at}{}", pointer(&["content", kind, "schema"]));
                    let escaped = at.replace('{', "%7B").replace('}', "%7D").replace(' ', "%20");
                    let schema = compiler.compile(&escaped, &mut schemas);
                    (kind.clone(), schema.unwrap_or_else(|error| panic!("{at}: {error}")))
                });
                let (path, method) = (path.clone(), method.to_uppercase());
                answers.push(Answer {
                    path,
                    method,
                    status: status.parse().expect("a status"),
                    content,
                });
            }
        }
    }
    Document { answers, schemas }
});

const NAME: &str = "file:///openapi.json";

fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().expect("an object").iter()
}

fn pointer(keys: &[&str]) -> String {
    keys.iter().map(|key| format!("/{}", key.replace('~', "~0").replace('/', "~1"))).collect()
}

/// Whether a path is one of this template.
fn is_of(template: &str, path: &str) -> bool {
    let is_one = |(part, template): (&str, &str)| part == template || template.starts_with('{');
    template.split('/').count() == path.split('/').count()
        && path.split('/').zip(template.split('/')).all(is_one)
}

/// Checks an answer of guestpass. What never reached its routes is not in the document.
///
/// # Panics
/// When the document does not have such an answer.
pub(crate) fn check(method: &str, target: &str, reply: &Reply) {
    let path = target.split('?').next().unwrap_or_default();
    let calls: Vec<_> = DOCUMENT
        .answers
        .iter()
        .filter(|one| one.method == method && is_of(&one.path, path))
        .collect();
    if calls.is_empty() || reply.header("x-request-id").is_none() {
        return;
    }
    let text = String::from_utf8_lossy(&reply.body);
    let documented = calls.iter().find(|one| one.status == reply.status);
    let Some(documented) = documented else {
        panic!("{method} {path}: {} is not documented: {text}", reply.status)
    };
    let Some((kind, schema)) = &documented.content else {
        assert!(reply.body.is_empty(), "{method} {path}: {} has a body: {text}", reply.status);
        return;
    };
    assert_eq!(reply.header("content-type"), Some(&**kind), "{method} {path}: {}", reply.status);
    let body = serde_json::from_slice(&reply.body).unwrap_or_else(|_| json!(text));
    if let Err(error) = DOCUMENT.schemas.validate(&body, *schema) {
        panic!("{method} {path}: {}: {error}: {text}", reply.status);
    }
}
