//! What a request asks for: one command, a pipeline or a transaction, as JSON or as a path.

use http::{Method, StatusCode, Uri};
use serde_json::value::RawValue;

/// The longest body, in bytes.
pub(super) const MAX_BODY_BYTES: usize = 1 << 20;

/// Where the door is.
pub(super) const PATH: &str = "/redis";

/// A command: its name and its arguments.
pub(super) type Words = Vec<Vec<u8>>;

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// One command.
    Command(Words),
    /// Commands one after the other, each with its own result.
    Pipeline(Vec<Words>),
    /// Commands that nobody else's come between.
    Transaction(Vec<Words>),
}

impl Ask {
    /// Its kind, for logs.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Command(_) => "command",
            Self::Pipeline(_) => "pipeline",
            Self::Transaction(_) => "multi-exec",
        }
    }
}

/// A request that asks for nothing that can be done: the status and the error.
pub(super) type Malformed = (StatusCode, &'static str);

/// Reads a request whose path begins with [`PATH`].
pub(super) fn parse(method: &Method, uri: &Uri, body: &[u8]) -> Result<Ask, Malformed> {
    if body.len() > MAX_BODY_BYTES {
        return Err((
            StatusCode::PAYLOAD_TOO_LARGE,
            "ERR max request size exceeded. Limit: 1048576 bytes",
        ));
    }
    let query = uri.query().unwrap_or_default();
    let rest = uri.path().strip_prefix(PATH).unwrap_or_default();
    let is_post = *method == Method::POST;
    match rest.strip_prefix('/').unwrap_or_default() {
        path @ ("" | "pipeline" | "multi-exec") => {
            if !is_post {
                return Err((StatusCode::METHOD_NOT_ALLOWED, "ERR POST commands as JSON"));
            }
            match path {
                "" => command(body).map(Ask::Command),
                "pipeline" => commands(body).map(Ask::Pipeline),
                _ => commands(body).map(Ask::Transaction),
            }
        }
        _ if !is_post && *method != Method::GET => {
            Err((StatusCode::METHOD_NOT_ALLOWED, "ERR use GET or POST"))
        }
        path => Ok(Ask::Command(words_of_path(path, if is_post { body } else { b"" }, query))),
    }
}

/// Whether a query holds a token, by Upstash's name for it.
pub(super) fn has_token(query: &str) -> bool {
    pairs(query).any(|(name, _)| name == b"_token")
}

fn command(body: &[u8]) -> Result<Words, Malformed> {
    const WHAT: &str =
        "ERR failed to parse command: it must be a JSON array of strings, numbers and booleans";
    let items: Vec<&RawValue> = serde_json::from_slice(body).map_err(|_| bad(WHAT))?;
    if items.is_empty() {
        return Err(bad("ERR empty command"));
    }
    items.into_iter().map(word).collect::<Option<_>>().ok_or_else(|| bad(WHAT))
}

fn commands(body: &[u8]) -> Result<Vec<Words>, Malformed> {
    const WHAT: &str = "ERR failed to parse pipeline request: it must be a JSON array of arrays of strings, numbers and \
                        booleans";
    let lines: Vec<Vec<&RawValue>> = serde_json::from_slice(body).map_err(|_| bad(WHAT))?;
    if lines.is_empty() {
        return Err(bad("ERR empty pipeline request"));
    }
    if lines.iter().any(Vec::is_empty) {
        return Err(bad("ERR empty command in pipeline request"));
    }
    let words = |line: Vec<&RawValue>| line.into_iter().map(word).collect();
    lines.into_iter().map(words).collect::<Option<_>>().ok_or_else(|| bad(WHAT))
}

const fn bad(error: &'static str) -> Malformed {
    (StatusCode::BAD_REQUEST, error)
}

/// A JSON value as a word of a command: numbers, booleans and null are taken as they are written.
fn word(value: &RawValue) -> Option<Vec<u8>> {
    let text = value.get();
    match text.as_bytes().first()? {
        b'"' => serde_json::from_str::<String>(text).ok().map(String::into_bytes),
        b'[' | b'{' => None,
        _ => Some(text.as_bytes().to_vec()),
    }
}

/// The words of `/SET/key?EX=100` with the body `value`: SET key value EX 100.
fn words_of_path(path: &str, body: &[u8], query: &str) -> Words {
    let mut words: Words = path.split('/').map(|segment| decode(segment, false)).collect();
    if !body.is_empty() {
        words.push(body.to_vec());
    }
    for (name, value) in pairs(query) {
        words.push(name);
        words.extend(value.filter(|value| !value.is_empty()));
    }
    words
}

fn pairs(query: &str) -> impl Iterator<Item = (Vec<u8>, Option<Vec<u8>>)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| match pair.split_once('=') {
        Some((name, value)) => (decode(name, true), Some(decode(value, true))),
        None => (decode(pair, true), None),
    })
}

/// Undoes percent-encoding; what is not well-formed stays as it is.
fn decode(text: &str, plus_is_space: bool) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if let Some((byte, after)) = escaped(rest) {
            decoded.push(byte);
            rest = after;
        } else {
            decoded.push(if *first == b'+' && plus_is_space { b' ' } else { *first });
            rest = tail;
        }
    }
    decoded
}

/// The byte that a text begins with in percent-encoding, and what follows it.
fn escaped(text: &[u8]) -> Option<(u8, &[u8])> {
    let [b'%', high, low, after @ ..] = text else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()?;
    Some((byte, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(method: Method, uri: &str, body: &str) -> Result<Ask, Malformed> {
        parse(&method, &uri.parse().unwrap(), body.as_bytes())
    }

    fn words(words: &[&str]) -> Words {
        words.iter().map(|word| word.as_bytes().to_vec()).collect()
    }

    fn status(method: Method, uri: &str, body: &str) -> u16 {
        ask(method, uri, body).unwrap_err().0.as_u16()
    }

    #[test]
    fn a_command_is_a_json_array_whose_scalars_are_taken_as_written() {
        let body = r#" ["SET", "k\u00fc\n", 1, -1.50, 1e21, 100000000000000000000, true, null] "#;
        let expected = words(&[
            "SET",
            "k\u{fc}\n",
            "1",
            "-1.50",
            "1e21",
            "100000000000000000000",
            "true",
            "null",
        ]);
        for path in ["/redis", "/redis/"] {
            assert_eq!(ask(Method::POST, path, body), Ok(Ask::Command(expected.clone())));
        }
    }

    #[test]
    fn pipelines_and_transactions_are_arrays_of_commands() {
        let body = r#"[["PING"],["GET","k"]]"#;
        let expected = vec![words(&["PING"]), words(&["GET", "k"])];
        let pipeline = ask(Method::POST, "/redis/pipeline", body);
        assert_eq!(pipeline, Ok(Ask::Pipeline(expected.clone())));
        assert_eq!(ask(Method::POST, "/redis/multi-exec", body), Ok(Ask::Transaction(expected)));
    }

    #[test]
    fn other_shapes_are_refused() {
        for body in ["", "{}", "[]", "\"GET\"", "[[\"GET\"]]", "[{}]", "[\"GET\"", r#"["\ud800"]"#]
        {
            assert_eq!(status(Method::POST, "/redis", body), 400, "{body}");
        }
        for body in ["", "[]", "[\"GET\"]", "[[]]", "[[\"GET\",[\"k\"]]]", "[{}]"] {
            assert_eq!(status(Method::POST, "/redis/pipeline", body), 400, "{body}");
            assert_eq!(status(Method::POST, "/redis/multi-exec", body), 400, "{body}");
        }
        for path in ["/redis", "/redis/", "/redis/pipeline", "/redis/multi-exec"] {
            assert_eq!(status(Method::GET, path, ""), 405);
        }
        assert_eq!(status(Method::DELETE, "/redis/get/k", ""), 405);
        let long = " ".repeat(MAX_BODY_BYTES + 1);
        assert_eq!(status(Method::POST, "/redis/set/k", &long), 413);
        assert!(ask(Method::POST, "/redis/set/k", &long[1..]).is_ok());
    }

    #[test]
    fn a_path_is_a_command_with_the_body_and_the_query_behind_it() {
        let get = ask(Method::GET, "/redis/get/a%2Fb%20c+d%zz", "ignored");
        assert_eq!(get, Ok(Ask::Command(words(&["get", "a/b c+d%zz"]))));
        let set = ask(Method::POST, "/redis/set/k?EX=100&NX&x=a+b", "the value");
        let expected = words(&["set", "k", "the value", "EX", "100", "NX", "x", "a b"]);
        assert_eq!(set, Ok(Ask::Command(expected)));
        let empty = ask(Method::GET, "/redis/set/k/", "");
        assert_eq!(empty, Ok(Ask::Command(words(&["set", "k", ""]))));
    }

    #[test]
    fn a_token_in_a_query_is_noticed() {
        assert!(has_token("_token=x") && has_token("EX=1&%5ftoken=x") && has_token("_token"));
        assert!(!has_token("") && !has_token("token=x&a=_token"));
    }
}
