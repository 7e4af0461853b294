//! Latency histograms of this process, and their Prometheus text.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

/// Upper bounds of the buckets, in milliseconds.
const BOUNDS_MS: [u64; 13] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 15_000];

#[derive(Debug, Default, Clone)]
struct Histogram {
    buckets: [u64; BOUNDS_MS.len()],
    count: u64,
    sum_ms: u64,
}

impl Histogram {
    fn observe(&mut self, millis: u64) {
        self.count = self.count.saturating_add(1);
        self.sum_ms = self.sum_ms.saturating_add(millis);
        for (bucket, bound) in self.buckets.iter_mut().zip(BOUNDS_MS) {
            if millis <= bound {
                *bucket = bucket.saturating_add(1);
            }
        }
    }
}

type Series<L> = Mutex<BTreeMap<L, Histogram>>;

/// What this process measures. Where processes come and go (the edge) it is off.
#[derive(Debug)]
pub struct Instruments {
    on: bool,
    requests: Series<(&'static str, &'static str, u16)>,
    calls: Series<(&'static str, Cow<'static, str>)>,
    /// Writes further metrics of the process, as Prometheus text.
    process: Option<fn(&mut String)>,
}

impl Instruments {
    /// Measures nothing.
    #[must_use]
    pub fn off() -> Self {
        Self { on: false, requests: Series::default(), calls: Series::default(), process: None }
    }

    /// Measures; `process` adds what the host knows of its process.
    #[must_use]
    pub fn on(process: fn(&mut String)) -> Self {
        Self { on: true, process: Some(process), ..Self::off() }
    }

    pub(crate) fn request(
        &self,
        method: &'static str,
        route: &'static str,
        status: u16,
        millis: u64,
    ) {
        if self.on {
            let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
            requests.entry((route, method, status)).or_default().observe(millis);
        }
    }

    pub(crate) fn call(
        &self,
        call: &'static str,
        outcome: impl Into<Cow<'static, str>>,
        millis: u64,
    ) {
        if self.on {
            let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
            calls.entry((call, outcome.into())).or_default().observe(millis);
        }
    }

    pub(crate) fn write_prometheus(&self, out: &mut String) {
        if !self.on {
            return;
        }
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let labelled = requests.iter().map(|((route, method, status), histogram)| {
            (format!(r#"method="{method}",route="{route}",status="{status}""#), histogram)
        });
        write_histograms(
            out,
            "guestpass_http_request_duration_seconds",
            "Time to answer requests.",
            labelled,
        );
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let labelled = calls.iter().map(|((call, outcome), histogram)| {
            (format!(r#"call="{call}",outcome="{outcome}""#), histogram)
        });
        write_histograms(
            out,
            "guestpass_genesys_call_duration_seconds",
            "Time that calls to Genesys took.",
            labelled,
        );
        if let Some(process) = self.process {
            process(out);
        }
    }
}

fn write_histograms<'a>(
    out: &mut String,
    name: &str,
    help: &str,
    series: impl Iterator<Item = (String, &'a Histogram)>,
) {
    let seconds = |millis: u64| {
        let (whole, rest) = (millis / 1000, millis % 1000);
        format!("{whole}.{rest:03}")
    };
    // Writing to a String cannot fail.
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} histogram");
    for (labels, histogram) in series {
        for (bound, count) in BOUNDS_MS.iter().zip(histogram.buckets) {
            let _ = writeln!(out, r#"{name}_bucket{{{labels},le="{}"}} {count}"#, seconds(*bound));
        }
        let _ = writeln!(out, r#"{name}_bucket{{{labels},le="+Inf"}} {}"#, histogram.count);
        let _ = writeln!(out, "{name}_sum{{{labels}}} {}", seconds(histogram.sum_ms));
        let _ = writeln!(out, "{name}_count{{{labels}}} {}", histogram.count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn buckets_are_cumulative() {
        let instruments = Instruments::on(|out| out.push_str("process_up 1\n"));
        instruments.request("GET", "/healthz", 200, 3);
        instruments.request("GET", "/healthz", 200, 700);
        let mut text = String::new();
        instruments.write_prometheus(&mut text);
        let labels = r#"method="GET",route="/healthz",status="200""#;
        assert!(text.contains(&format!(
            "guestpass_http_request_duration_seconds_bucket{{{labels},le=\"0.005\"}} 1\n"
        )));
        assert!(text.contains(&format!(
            "guestpass_http_request_duration_seconds_bucket{{{labels},le=\"1.000\"}} 2\n"
        )));
        assert!(
            text.contains(&format!(
                "guestpass_http_request_duration_seconds_sum{{{labels}}} 0.703\n"
            ))
        );
        assert!(text.ends_with("process_up 1\n"));
    }
}
