//! Logs: one JSON object a line on the console, where Cloudflare's logs take its fields apart. The time is
//! theirs.

use std::io::{self, Write};

use tracing::{Level, Metadata};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;

/// The crates whose level `LOG_LEVEL` sets.
const OURS: [&str; 2] = ["guestpass_core", "guestpass_edge"];

/// From now on this isolate logs. The first call counts.
pub(crate) fn install(level: Level) {
    let level = LevelFilter::from_level(level);
    let dependencies = level.min(LevelFilter::WARN);
    let filter =
        Targets::new().with_default(dependencies).with_targets(OURS.map(|target| (target, level)));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(Console)
        .with_ansi(false)
        .without_time()
        .log_internal_errors(false)
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false);
    // Already installed means by an earlier invocation.
    let _ = tracing::subscriber::set_global_default(
        tracing_subscriber::registry().with(lines.with_filter(filter)),
    );
}

struct Console;

impl<'a> MakeWriter<'a> for Console {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { level: Level::INFO, bytes: Vec::new() }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Line {
        Line { level: *metadata.level(), bytes: Vec::new() }
    }
}

/// Goes to the console when it is complete.
struct Line {
    level: Level,
    bytes: Vec<u8>,
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let text = String::from_utf8_lossy(&self.bytes);
        let text = text.trim_end();
        match self.level {
            Level::ERROR => worker::console_error!("{text}"),
            Level::WARN => worker::console_warn!("{text}"),
            _ => worker::console_log!("{text}"),
        }
    }
}
