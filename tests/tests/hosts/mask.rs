//! What of an answer two hosts must have in common: everything but ids, tokens, times and framing.

use guestpass_tests::http_client::Reply;
use serde_json::Value;

use crate::wire::Outcome;

/// Set by whoever writes the answer to the wire.
const FRAMING: [&str; 5] =
    ["date", "content-length", "transfer-encoding", "connection", "keep-alive"];

/// An outcome as text that is equal wherever the answers are.
pub(crate) fn masked(outcome: &Outcome, sent: &[u8]) -> String {
    match outcome {
        Outcome::Answer(reply) => answer(reply, sent),
        Outcome::Closed => "the connection ended".to_owned(),
        Outcome::Silence => "silence".to_owned(),
    }
}

fn answer(reply: &Reply, sent: &[u8]) -> String {
    // guestpass has not seen the request: what is no HTTP, each server refuses in words of its own.
    if !reply.headers.iter().any(|(name, _)| name == "x-request-id") {
        return format!("{} by the server", reply.status);
    }
    let sent = String::from_utf8_lossy(sent);
    let id = reply.headers.iter().find(|(name, _)| name == "x-request-id");
    let id = id.map(|(_, value)| value.as_str()).unwrap_or_default();
    let is_made = id.len() == 32 && !sent.contains(id);
    let mut headers: Vec<_> = reply
        .headers
        .iter()
        .filter(|(name, _)| !FRAMING.contains(&name.as_str()))
        .map(|(name, value)| match name.as_str() {
            "x-request-id" if is_made => format!("{name}: MADE"),
            "retry-after" => format!("{name}: {}", digits_masked(value)),
            _ => format!("{name}: {value}"),
        })
        .collect();
    headers.sort();
    let body = match serde_json::from_slice::<Value>(&reply.body) {
        Ok(mut body) => {
            mask(&mut body, is_made);
            // Fields keep their order: it is part of the answer's bytes.
            body.to_string()
        }
        Err(_) => metrics_masked(&String::from_utf8_lossy(&reply.body)),
    };
    format!("{}\n{}\n\n{body}", reply.status, headers.join("\n"))
}

/// Masks what may differ between two runs of one host.
fn mask(value: &mut Value, is_made: bool) {
    let Value::Object(fields) = value else {
        if let Value::Array(items) = value {
            items.iter_mut().for_each(|item| mask(item, is_made));
        }
        return;
    };
    for (name, field) in fields.iter_mut() {
        match name.as_str() {
            "guestId" | "guestToken" if field.is_string() => *field = "MASKED".into(),
            "createdAt" | "expiresAt" | "enqueuedAt" | "nextAttemptAt" => {
                *field = field.as_str().map_or(Value::Null, |time| digits_masked(time).into());
            }
            "detail" => *field = field.as_str().map_or(Value::Null, ids_masked),
            "requestId" if is_made => *field = "MADE".into(),
            // They follow the work that goes on behind the answers.
            "counters" | "gauges" | "expired" | "revoked" | "retried" | "stuck"
            | "retryAfterSeconds" => {
                *field = digits_masked(&field.to_string()).into();
            }
            _ => mask(field, is_made),
        }
    }
}

/// The figures of the store, which come first; the origin adds those of its process.
fn metrics_masked(text: &str) -> String {
    let last = "\nguestpass_cool_down_seconds ";
    let shared = text.find(last).map_or(text.len(), |at| at + last.len());
    digits_masked(&text[..shared])
}

/// Genesys's ids in a text: 36 characters, as UUIDs are.
fn ids_masked(text: &str) -> Value {
    let is_id = |word: &str| word.len() == 36 && word.matches('-').count() == 4;
    let words = text.split_inclusive(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let masked = words.map(|word| {
        let (id, after) = word.split_at(word.len().min(36));
        if is_id(id) { format!("MASKED{after}") } else { word.to_owned() }
    });
    masked.collect::<String>().into()
}

fn digits_masked(text: &str) -> String {
    let mut masked = String::new();
    for character in text.chars() {
        let shown = if character.is_ascii_digit() { '9' } else { character };
        if shown != '9' || !masked.ends_with('9') {
            masked.push(shown);
        }
    }
    masked
}
