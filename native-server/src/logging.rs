//! Where log lines go and how they look: to standard output, one line an event, as text or JSON.

use std::io::IsTerminal as _;
use std::panic::PanicHookInfo;
use std::sync::OnceLock;

use guestpass_core::config::LogFormat;
use tracing::Level;
use tracing::subscriber::{self, DefaultGuard};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::log_writer::LogWriter;

/// The crates whose level `LOG_LEVEL` sets.
const OURS: [&str; 4] = ["guestpass", "guestpass_core", "guestpass_server", "genesys_sim"];

static WRITER: OnceLock<LogWriter> = OnceLock::new();

/// From now on this process logs. The first call counts. Before the process ends, [`flush`] is to be called.
///
/// # Panics
/// When no thread can be started.
pub fn install(format: LogFormat, level: Level) {
    let ansi = std::io::stdout().is_terminal();
    let start = || LogWriter::start(std::io::stdout()).expect("no thread can be started");
    let subscriber = build(format, level, ansi, WRITER.get_or_init(start).clone());
    // Already installed means by an earlier call, in tests.
    if subscriber::set_global_default(subscriber).is_ok() {
        std::panic::set_hook(Box::new(log_panic));
    }
}

/// Waits until everything that this process logged is written.
pub fn flush() {
    if let Some(writer) = WRITER.get() {
        writer.flush();
    }
}

/// Logs of this thread go to `writer` until the guard is dropped.
#[must_use]
pub fn capture<W>(format: LogFormat, level: Level, writer: W) -> DefaultGuard
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    subscriber::set_default(build(format, level, false, writer))
}

fn build<W>(
    format: LogFormat,
    level: Level,
    ansi: bool,
    writer: W,
) -> impl tracing::Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let level = LevelFilter::from_level(level);
    let dependencies = level.min(LevelFilter::WARN);
    let filter =
        Targets::new().with_default(dependencies).with_targets(OURS.map(|target| (target, level)));
    // What cannot be written is lost; telling so on a standard error that is closed too would panic.
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(ansi)
        .log_internal_errors(false);
    let lines = match format {
        LogFormat::Text => lines.with_target(false).boxed(),
        LogFormat::Json => {
            lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
        }
    };
    tracing_subscriber::registry().with(lines.with_filter(filter))
}

/// Logs where a panic happened. Its message is left out: it can quote what was being worked on.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(|place| format!("{}:{}", place.file(), place.line()));
    tracing::error!(place, "a bug: this task panicked");
    // It may be the end of the process.
    flush();
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex, PoisonError};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, level: Level, log: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let guard = capture(format, level, move || writer.clone());
        log();
        drop(guard);
        let bytes = lines.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn json_is_one_flat_object_a_line() {
        let text = logged(LogFormat::Json, Level::INFO, || {
            tracing::info!(target: "guestpass_core", status = 201, "first\nline");
            tracing::debug!(target: "guestpass_core", "too low");
        });
        let lines: Vec<_> = text.lines().collect();
        let [line] = lines[..] else { panic!("{text}") };
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["message"], "first\nline");
        assert_eq!(event["status"], 201);
        assert_eq!(event["level"], "INFO");
    }

    #[test]
    fn dependencies_are_heard_from_warn_on() {
        let text = logged(LogFormat::Text, Level::TRACE, || {
            tracing::info!(target: "hyper", "chatter");
            tracing::warn!(target: "hyper", "trouble");
            tracing::trace!(target: "guestpass_core::service", "detail");
        });
        assert!(
            !text.contains("chatter") && text.contains("trouble") && text.contains("detail"),
            "{text}"
        );
        let quiet =
            logged(LogFormat::Text, Level::ERROR, || tracing::warn!(target: "hyper", "trouble"));
        assert_eq!(quiet, "");
    }
}
