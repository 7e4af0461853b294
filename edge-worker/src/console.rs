//! The console of the isolate, where its logs go.

use tracing::Level;

use crate::logging::Logger;

/// From now on this isolate logs. The first call counts.
pub(crate) fn install(level: Level) {
    // Already installed means by an earlier invocation.
    let _ = tracing::subscriber::set_global_default(Logger::new(level, write));
}

fn write(level: Level, line: &str) {
    match level {
        Level::ERROR => worker::console_error!("{line}"),
        Level::WARN => worker::console_warn!("{line}"),
        _ => worker::console_log!("{line}"),
    }
}
