//! What the operating system knows of this process, as Prometheus text. Linux only; nothing elsewhere.

/// Appends the `process_*` metrics that can be read.
pub fn write(out: &mut String) {
    #[cfg(target_os = "linux")]
    linux::write(out);
    #[cfg(not(target_os = "linux"))]
    let _ = out;
}

/// The most files this process may have open, where that can be told.
#[must_use]
pub fn open_files_limit() -> Option<u64> {
    #[cfg(target_os = "linux")]
    return linux::open_files_limit();
    #[cfg(not(target_os = "linux"))]
    None
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fmt::{Display, Write as _};
    use std::fs;

    /// What the kernel counts CPU time in, towards programs, on every architecture there is (USER_HZ).
    const TICKS_A_SECOND: u64 = 100;

    pub(super) fn write(out: &mut String) {
        // Fields by proc(5), counted from the state, which follows the parenthesized command.
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_else(|_| String::new());
        let fields: Vec<&str> =
            stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ').collect();
        let field =
            |number: usize| fields.get(number - 3).and_then(|text| text.parse::<u64>().ok());
        if let (Some(user), Some(system)) = (field(14), field(15)) {
            let seconds = in_seconds(user + system);
            metric(
                out,
                "process_cpu_seconds_total",
                "counter",
                "CPU time used, in seconds.",
                seconds,
            );
        }
        if let Some(threads) = field(20) {
            metric(out, "process_threads", "gauge", "Threads.", threads);
        }
        if let (Some(ticks), Some(boot)) = (field(22), boot_time()) {
            let help = "Start time since the Unix epoch, in seconds.";
            let seconds =
                format!("{}.{:02}", boot + ticks / TICKS_A_SECOND, ticks % TICKS_A_SECOND);
            metric(out, "process_start_time_seconds", "gauge", help, seconds);
        }
        let status = fs::read_to_string("/proc/self/status").unwrap_or_else(|_| String::new());
        for (line, name, help) in [
            ("VmRSS:", "process_resident_memory_bytes", "Resident memory, in bytes."),
            ("VmSize:", "process_virtual_memory_bytes", "Virtual memory, in bytes."),
        ] {
            if let Some(kibibytes) = number_after(&status, line) {
                metric(out, name, "gauge", help, kibibytes * 1024);
            }
        }
        if let Ok(entries) = fs::read_dir("/proc/self/fd") {
            // One of them is this very listing.
            let open = entries.count().saturating_sub(1);
            metric(out, "process_open_fds", "gauge", "Open file descriptors.", open);
        }
        if let Some(limit) = open_files_limit() {
            metric(
                out,
                "process_max_fds",
                "gauge",
                "Most file descriptors that may be open.",
                limit,
            );
        }
    }

    pub(super) fn open_files_limit() -> Option<u64> {
        number_after(&fs::read_to_string("/proc/self/limits").ok()?, "Max open files")
    }

    fn in_seconds(ticks: u64) -> String {
        format!("{}.{:02}", ticks / TICKS_A_SECOND, ticks % TICKS_A_SECOND)
    }

    fn boot_time() -> Option<u64> {
        number_after(&fs::read_to_string("/proc/stat").ok()?, "btime")
    }

    /// The number that follows `start` at the beginning of a line.
    fn number_after(text: &str, start: &str) -> Option<u64> {
        let rest = text.lines().find_map(|line| line.strip_prefix(start))?;
        rest.split_ascii_whitespace().next()?.parse().ok()
    }

    fn metric(out: &mut String, name: &str, kind: &str, help: &str, value: impl Display) {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn all_metrics_can_be_read_here() {
        let mut out = String::new();
        super::write(&mut out);
        for name in [
            "process_cpu_seconds_total",
            "process_threads",
            "process_start_time_seconds",
            "process_resident_memory_bytes",
            "process_open_fds",
            "process_max_fds",
        ] {
            assert!(out.contains(&format!("\n{name} ")), "{name} in {out}");
        }
    }
}
