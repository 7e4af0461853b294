//! What every open connection is doing and since when, so that those that keep us waiting are closed: when
//! their time is up, when room is needed for others, or when the server stops.
//!
//! One coarse tick for all replaces a timer for each: an idle connection costs no timer, a request none either.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use guestpass_core::seams::Clock;
use tokio::sync::Notify;

use super::phase::{Phase, TICK};

/// What a connection is told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Answer what is under way, then close.
    Finish,
    /// Close now.
    Drop,
}

/// What all connections look at.
#[derive(Debug, Default)]
struct Shared {
    ticks: AtomicU64,
    stopping: AtomicBool,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    /// The phase in the lowest three bits, above it the tick at which it began.
    doing: AtomicU64,
    shared: Arc<Shared>,
    order: AtomicU8,
    ordered: Notify,
}

impl Connection {
    pub(super) fn begin(&self, phase: Phase) {
        let tick = self.shared.ticks.load(Ordering::Relaxed);
        self.doing.store(tick << 3 | phase as u64, Ordering::Relaxed);
    }

    /// A whole head has come. When nobody new is let in, this request is the last one.
    pub(super) fn begin_request(&self) {
        self.begin(Phase::Body);
        if self.shared.stopping.load(Ordering::Relaxed) {
            self.order(Order::Finish);
        }
    }

    /// The client sent something.
    pub(super) fn received(&self) {
        if self.phase() == Phase::Idle {
            self.begin(Phase::Head);
        }
    }

    /// The client took something.
    pub(super) fn sent(&self) {
        if self.phase() == Phase::Answer {
            self.begin(Phase::Answer);
        }
    }

    /// The client took everything there was.
    pub(super) fn flushed(&self) {
        if self.phase() == Phase::Answer {
            self.begin(Phase::Idle);
        }
    }

    fn phase(&self) -> Phase {
        Phase::of(self.doing.load(Ordering::Relaxed))
    }

    /// Whether it is between two requests. Its client may have sent the next one already.
    pub(super) fn is_idle(&self) -> bool {
        self.phase() == Phase::Idle
    }

    /// Waits for the next order.
    pub(super) async fn ordered(&self) -> Order {
        loop {
            self.ordered.notified().await;
            match self.order.load(Ordering::Relaxed) {
                0 => {}
                1 => return Order::Finish,
                _ => return Order::Drop,
            }
        }
    }

    fn order(&self, order: Order) {
        self.order.fetch_max(if order == Order::Finish { 1 } else { 2 }, Ordering::Relaxed);
        self.ordered.notify_one();
    }
}

/// All open connections.
#[derive(Debug)]
pub(super) struct Connections {
    most: usize,
    shared: Arc<Shared>,
    /// The tick of the last complaint.
    complained: AtomicU64,
    all: Mutex<HashMap<u64, Arc<Connection>>>,
}

/// Keeps a connection among the others until it is dropped.
#[derive(Debug)]
pub(super) struct Membership {
    all: Arc<Connections>,
    id: u64,
    connection: Arc<Connection>,
}

impl Membership {
    pub(super) const fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.all.lock().remove(&self.id);
    }
}

impl Connections {
    /// Room for `most` connections.
    pub(super) fn new(most: usize) -> Self {
        Self { most, shared: Arc::default(), complained: AtomicU64::new(0), all: Mutex::default() }
    }

    /// Adds a connection, under an id that no other one has.
    pub(super) fn join(self: &Arc<Self>, id: u64) -> Membership {
        let doing =
            AtomicU64::new(self.shared.ticks.load(Ordering::Relaxed) << 3 | Phase::Head as u64);
        let connection = Arc::new(Connection {
            doing,
            shared: self.shared.clone(),
            order: AtomicU8::new(0),
            ordered: Notify::new(),
        });
        self.lock().insert(id, connection.clone());
        Membership { all: self.clone(), id, connection }
    }

    /// Whether another connection would be one too many.
    pub(super) fn is_full(&self) -> bool {
        self.lock().len() >= self.most
    }

    /// Whether a complaint about what cannot be mended at once is due: once a minute.
    pub(super) fn should_complain(&self) -> bool {
        let now = self.shared.ticks.load(Ordering::Relaxed);
        // Ticks begin at 0, which stands for never.
        let last = self.complained.load(Ordering::Relaxed);
        let is_due = last == 0 || now.saturating_sub(last) >= 60_000 / TICK.as_millis() as u64;
        if is_due {
            self.complained.store(now.max(1), Ordering::Relaxed);
        }
        is_due
    }

    /// Closes some of those that wait for their client, the longest waiting first. False when none does.
    pub(super) fn make_room(&self) -> bool {
        let now = self.shared.ticks.load(Ordering::Relaxed);
        let mut waiting: Vec<_> = self
            .lock()
            .values()
            .filter_map(|connection| {
                let doing = connection.doing.load(Ordering::Relaxed);
                let since = doing >> 3;
                let is_waiting = match Phase::of(doing) {
                    Phase::Head | Phase::Idle => true,
                    Phase::Body | Phase::Answer => now.saturating_sub(since) >= 4,
                    Phase::Work => false,
                };
                is_waiting.then(|| (since, connection.clone()))
            })
            .collect();
        waiting.sort_unstable_by_key(|(since, _)| *since);
        waiting.truncate(self.most.div_ceil(16));
        for (_, connection) in &waiting {
            connection.order(Order::Drop);
        }
        !waiting.is_empty()
    }

    /// Has every connection finish; those that wait for their client are soon closed.
    pub(super) fn finish(&self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        for connection in self.lock().values() {
            connection.order(Order::Finish);
        }
    }

    /// Closes connections whose time is up, for ever.
    pub(super) async fn watch(&self, clock: &impl Clock) {
        loop {
            clock.sleep(TICK).await;
            let now = self.shared.ticks.fetch_add(1, Ordering::Relaxed) + 1;
            let stopping = self.shared.stopping.load(Ordering::Relaxed);
            for connection in self.lock().values() {
                let doing = connection.doing.load(Ordering::Relaxed);
                if now.saturating_sub(doing >> 3) > Phase::of(doing).limit(stopping) {
                    connection.order(Order::Drop);
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Connection>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_dropped(membership: &Membership) -> bool {
        membership.connection().order.load(Ordering::Relaxed) == 2
    }

    #[test]
    fn room_is_made_by_those_that_wait_longest_for_their_client() {
        let all = Arc::new(Connections::new(3));
        let members: Vec<_> = (0..3)
            .map(|id| {
                all.shared.ticks.fetch_add(1, Ordering::Relaxed);
                all.join(id)
            })
            .collect();
        let [first, second, third] = &members[..] else { panic!("three joined") };
        first.connection().begin(Phase::Work);
        assert!(all.is_full() && all.make_room());
        assert_eq!([first, second, third].map(is_dropped), [false, true, false]);
        drop(members);
        assert!(!all.is_full() && !all.make_room());
    }

    #[test]
    fn a_connection_goes_through_its_phases() {
        let all = Arc::new(Connections::new(1));
        let member = all.join(7);
        let connection = member.connection();
        connection.flushed();
        assert_eq!(connection.phase(), Phase::Head);
        connection.begin(Phase::Answer);
        connection.sent();
        connection.received();
        assert_eq!(connection.phase(), Phase::Answer);
        connection.flushed();
        assert_eq!(connection.phase(), Phase::Idle);
        connection.received();
        assert_eq!(connection.phase(), Phase::Head);
    }
}
