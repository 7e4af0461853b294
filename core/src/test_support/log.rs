//! Keeps every log line at every level, for what must not be in any.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::sync::Once;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

thread_local! {
    /// What this thread has logged, while it keeps it.
    static KEPT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// The one subscriber of all tests. One for each thread would not do: whether a line is of interest is
/// decided once, by whichever thread comes to it first.
struct Keeper;

fn keep(write: impl FnOnce(&mut String)) {
    KEPT.with_borrow_mut(|kept| kept.as_mut().map(write));
}

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Subscriber for Keeper {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        keep(|text| span.record(&mut Line(text)));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        keep(|text| values.record(&mut Line(text)));
    }

    fn event(&self, event: &Event<'_>) {
        keep(|text| {
            event.record(&mut Line(text));
            text.push('\n');
        });
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// Installs the subscriber. Every world does so before anything of it logs: a line that is first come to
/// while the subscriber is being installed could be taken for one of no interest.
pub(crate) fn listen() {
    static BEGIN: Once = Once::new();
    BEGIN.call_once(|| tracing::subscriber::set_global_default(Keeper).unwrap());
}

/// Runs `work` and answers what it returned and everything that this thread logged meanwhile.
pub(crate) fn captured<T>(work: impl FnOnce() -> T) -> (T, String) {
    listen();
    tracing::callsite::rebuild_interest_cache();
    KEPT.set(Some(String::new()));
    let output = work();
    (output, KEPT.take().unwrap())
}
