//! How replies of Redis look as JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use redis::{ErrorKind, RedisError, ServerError, ServerErrorKind, Value};

/// How strings are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// As text; what is not UTF-8 becomes U+FFFD.
    Text,
    /// In base64, so that no byte is lost. A bare OK stays as it is; inside an array it is encoded too,
    /// because Upstash's own client decodes what it finds there.
    Base64,
}

/// `{"result":…}`, or `{"error":…}` for an error.
pub(super) fn write(out: &mut Vec<u8>, value: &Value, encoding: Encoding) {
    if let Value::ServerError(error) = value {
        return write_error(out, &error_text(error));
    }
    out.extend_from_slice(b"{\"result\":");
    match value {
        Value::Okay => out.extend_from_slice(b"\"OK\""),
        other => write_value(out, other, encoding),
    }
    out.push(b'}');
}

/// `{"error":…}`.
pub(super) fn write_error(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(b"{\"error\":");
    write_json(out, text);
    out.push(b'}');
}

/// Several, as an array.
pub(super) fn write_all<T>(items: &[T], mut write: impl FnMut(&mut Vec<u8>, &T)) -> Vec<u8> {
    let mut out = vec![b'['];
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(&mut out, item);
    }
    out.push(b']');
    out
}

/// An error in the words of Redis: the server's own, or one of routing that speaks as the server would. `None`
/// where the server said nothing.
pub(super) fn said(error: &RedisError) -> Option<String> {
    let kind = error.kind();
    let Some(errors) = error.clone().into_server_errors() else {
        let is_routing = matches!(kind, ErrorKind::Server(_));
        return is_routing.then(|| format!("{} {error}", error.code().unwrap_or("ERR")));
    };
    let first = errors.first().map(|(_, error)| error_text(error)).unwrap_or_default();
    let is_whole = kind != ErrorKind::Server(ServerErrorKind::ExecAbort);
    if is_whole || first.starts_with("EXECABORT") {
        Some(first)
    } else {
        Some(format!("EXECABORT Transaction discarded because of previous errors: {first}"))
    }
}

/// An error as Redis sent it.
fn error_text(error: &ServerError) -> String {
    match error.details() {
        Some(details) => format!("{} {details}", error.code()),
        None => error.code().to_owned(),
    }
}

/// The parser bounds the depth.
fn write_value(out: &mut Vec<u8>, value: &Value, encoding: Encoding) {
    match value {
        Value::Nil => out.extend_from_slice(b"null"),
        Value::Int(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::BulkString(bytes) => write_string(out, bytes, encoding),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => {
            write_string(out, text.as_bytes(), encoding);
        }
        Value::Okay => write_string(out, b"OK", encoding),
        Value::Array(items) | Value::Set(items) => {
            let items = write_all(items, |out, item| write_value(out, item, encoding));
            out.extend_from_slice(&items);
        }
        // What RESP3 adds looks as it does in RESP2.
        Value::Map(pairs) => {
            let flat: Vec<_> = pairs.iter().flat_map(|(key, value)| [key, value]).collect();
            let items = write_all(&flat, |out, item| write_value(out, item, encoding));
            out.extend_from_slice(&items);
        }
        Value::Double(number) => write_string(out, number.to_string().as_bytes(), encoding),
        Value::Boolean(is) => out.extend_from_slice(if *is { b"1" } else { b"0" }),
        Value::Attribute { data, .. } => write_value(out, data, encoding),
        Value::ServerError(error) => write_string(out, error_text(error).as_bytes(), encoding),
        Value::BigNumber(digits) => write_string(out, digits, encoding),
        _ => out.extend_from_slice(b"null"),
    }
}

fn write_string(out: &mut Vec<u8>, bytes: &[u8], encoding: Encoding) {
    match encoding {
        Encoding::Text => write_json(out, &String::from_utf8_lossy(bytes)),
        Encoding::Base64 => write_json(out, &STANDARD.encode(bytes)),
    }
}

fn write_json(out: &mut Vec<u8>, text: &str) {
    // Text can always be written to memory.
    let _ = serde_json::to_writer(out, text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: &Value, encoding: Encoding) -> String {
        let mut out = Vec::new();
        write(&mut out, value, encoding);
        String::from_utf8(out).unwrap()
    }

    fn bulk(bytes: &[u8]) -> Value {
        Value::BulkString(bytes.to_vec())
    }

    #[test]
    fn text_loses_only_what_is_not_utf_8() {
        let value = Value::Array(vec![
            bulk("g\u{fc}\"\n\0".as_bytes()),
            bulk(b"a\xffb"),
            Value::Int(-7),
            Value::Nil,
            Value::Array(vec![Value::Okay]),
        ]);
        assert_eq!(
            written(&value, Encoding::Text),
            "{\"result\":[\"g\u{fc}\\\"\\n\\u0000\",\"a\u{fffd}b\",-7,null,[\"OK\"]]}"
        );
    }

    #[test]
    fn base64_keeps_every_byte_and_spares_a_bare_ok() {
        assert_eq!(written(&bulk(b"\xff\0"), Encoding::Base64), r#"{"result":"/wA="}"#);
        assert_eq!(written(&Value::Okay, Encoding::Base64), r#"{"result":"OK"}"#);
        assert_eq!(written(&bulk(b"OK"), Encoding::Base64), r#"{"result":"T0s="}"#);
        let inside = Value::Array(vec![Value::Okay, Value::SimpleString("PONG".to_owned())]);
        assert_eq!(written(&inside, Encoding::Base64), r#"{"result":["T0s=","UE9ORw=="]}"#);
    }

    #[test]
    fn what_resp3_adds_looks_as_in_resp2() {
        let map = Value::Map(vec![(bulk(b"a"), Value::Double(1.5)), (bulk(b"b"), Value::Int(2))]);
        assert_eq!(written(&map, Encoding::Text), r#"{"result":["a","1.5","b",2]}"#);
        assert_eq!(written(&Value::Boolean(true), Encoding::Text), r#"{"result":1}"#);
    }

    #[test]
    fn errors_are_told_in_the_words_of_redis() {
        let error = redis::make_extension_error(
            "WRONGTYPE".to_owned(),
            Some("Operation against a key holding the wrong kind of value".to_owned()),
        );
        let expected = "WRONGTYPE Operation against a key holding the wrong kind of value";
        assert_eq!(said(&error).as_deref(), Some(expected));
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        assert_eq!(said(&refused.into()), None);
    }
}
