//! Logs: one JSON object a line, of which Cloudflare's logs take the fields apart. The time is theirs. They look
//! as the origin's JSON lines do; what writes those would be a twentieth of the Worker.

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// The crates whose level `LOG_LEVEL` sets.
const OURS: [&str; 2] = ["guestpass_core", "guestpass_edge"];

/// Writes each event with `write`. Spans have no place in a line.
#[derive(Debug)]
pub struct Logger {
    level: Level,
    write: fn(Level, &str),
}

impl Logger {
    /// Events up to `level`, and of dependencies no more than warnings.
    #[must_use]
    pub fn new(level: Level, write: fn(Level, &str)) -> Self {
        Self { level, write }
    }
}

impl Subscriber for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let ours = OURS.iter().any(|name| metadata.target().starts_with(name));
        let most = if ours { self.level } else { self.level.min(Level::WARN) };
        *metadata.level() <= most
    }

    fn max_level_hint(&self) -> Option<tracing::level_filters::LevelFilter> {
        Some(self.level.into())
    }

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let mut line = Line { text: String::from("{") };
        line.text("level", metadata.level().as_str());
        event.record(&mut line);
        line.text("target", metadata.target());
        line.text.push('}');
        (self.write)(*metadata.level(), &line.text);
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

/// A JSON object that is being written.
struct Line {
    text: String,
}

impl Line {
    fn name(&mut self, name: &str) {
        if self.text.len() > 1 {
            self.text.push(',');
        }
        // The names of fields are identifiers.
        let _ = write!(self.text, "\"{name}\":");
    }

    fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        // A string is always JSON.
        self.text.push_str(&serde_json::to_string(value).unwrap_or_default());
    }

    fn bare(&mut self, name: &str, value: fmt::Arguments<'_>) {
        self.name(name);
        let _ = self.text.write_fmt(value);
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field.name(), &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.bare(field.name(), format_args!("{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.bare(field.name(), format_args!("{value}"));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no infinity; serde_json writes null.
        let number = serde_json::to_string(&value).unwrap_or_default();
        self.bare(field.name(), format_args!("{number}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.bare(field.name(), format_args!("{value}"));
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::Layer as _;
    use tracing_subscriber::filter::{LevelFilter, Targets};
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    thread_local! {
        static WRITTEN: RefCell<String> = const { RefCell::new(String::new()) };
    }

    fn keep(_level: Level, line: &str) {
        WRITTEN.with_borrow_mut(|written| {
            written.push_str(line);
            written.push('\n');
        });
    }

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What tracing-subscriber writes, set up as at the origin.
    fn at_the_origin(level: Level, events: fn()) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let level = LevelFilter::from_level(level);
        let filter = Targets::new()
            .with_default(level.min(LevelFilter::WARN))
            .with_targets(OURS.map(|target| (target, level)));
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(move || writer.clone())
            .without_time()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false);
        let subscriber = tracing_subscriber::registry().with(lines.with_filter(filter));
        tracing::subscriber::with_default(subscriber, events);
        let bytes = buffer.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn at_the_edge(level: Level, events: fn()) -> String {
        tracing::subscriber::with_default(Logger::new(level, keep), events);
        WRITTEN.take()
    }

    fn every_kind_of_event() {
        let fault = io::Error::other("broken \"pipe\"\n");
        tracing::info!(method = "GET", status = 201, "request");
        tracing::warn!(error = %fault, attempts = 3_u32, "the store\tfailed");
        tracing::error!(fault = ?Some("x"), late = true, behind = -5_i64, part = 0.1, rate = f64::NAN, "déjà \u{1} vu {}", 7);
        tracing::info!(code = None::<&str>, context = Some("abc"), only = "fields");
        tracing::error!(error = &fault as &dyn std::error::Error);
        let span = tracing::info_span!("outer", device = "d");
        span.in_scope(|| tracing::debug!("within a span"));
        tracing::trace!(target: "guestpass_core::service", "ours");
        tracing::info!(target: "reqwest::connect", "theirs");
        tracing::warn!(target: "reqwest::connect", "theirs");
    }

    #[test]
    fn lines_are_those_of_the_origin_at_every_level() {
        for level in [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE] {
            let edge = at_the_edge(level, every_kind_of_event);
            assert!(!edge.is_empty());
            assert_eq!(edge, at_the_origin(level, every_kind_of_event), "{level}");
        }
    }
}
