//! What every open connection is doing and since when, so that those that keep us waiting are closed: when
//! their time is up, when room is needed for others, or when the server stops.
//!
//! One coarse tick for all replaces a timer for each: an idle connection costs no timer, a request none either.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use guestpass_core::seams::Clock;
use tokio::sync::Notify;

/// The time between two looks at all connections.
const TICK: Duration = Duration::from_millis(250);

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// The client sends the head of a request, or has yet to send the first one.
    Head = 0,
    /// The client sends a body.
    Body = 1,
    /// The request waits or is worked on.
    Work = 2,
    /// The client receives an answer.
    Answer = 3,
    /// Between two requests.
    Idle = 4,
}

impl Phase {
    const fn of(bits: u64) -> Self {
        match bits & 7 {
            0 => Self::Head,
            1 => Self::Body,
            2 => Self::Work,
            3 => Self::Answer,
            _ => Self::Idle,
        }
    }

    /// How many ticks it may last. `stopping` is when nobody new is let in.
    const fn limit(self, stopping: bool) -> u64 {
        let a_second = 1000 / TICK.as_millis() as u64;
        match (self, stopping) {
            (Self::Head | Self::Body | Self::Answer, false) => 30 * a_second,
            // Longer than load balancers keep theirs (60 s as a rule), so that they close first.
            (Self::Idle, false) => 75 * a_second,
            (Self::Head | Self::Idle, true) => 2 * a_second,
            (Self::Body | Self::Answer, true) => 5 * a_second,
            (Self::Work, _) => u64::MAX,
        }
    }
}

/// What a connection is told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Answer what is under way, then close.
    Finish,
    /// Close now.
    Drop,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    /// The phase in the lowest three bits, above it the tick at which it began.
    doing: AtomicU64,
    ticks: Arc<AtomicU64>,
    order: AtomicU8,
    ordered: Notify,
}

impl Connection {
    pub(super) fn begin(&self, phase: Phase) {
        let tick = self.ticks.load(Ordering::Relaxed);
        self.doing.store(tick << 3 | phase as u64, Ordering::Relaxed);
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
    ticks: Arc<AtomicU64>,
    stopping: AtomicBool,
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
        Self {
            most,
            ticks: Arc::default(),
            stopping: AtomicBool::new(false),
            all: Mutex::default(),
        }
    }

    /// Adds a connection, under an id that no other one has.
    pub(super) fn join(self: &Arc<Self>, id: u64) -> Membership {
        let doing = AtomicU64::new(self.ticks.load(Ordering::Relaxed) << 3 | Phase::Head as u64);
        let connection = Arc::new(Connection {
            doing,
            ticks: self.ticks.clone(),
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

    /// Closes some of those that wait for their client, the longest waiting first. False when none does.
    pub(super) fn make_room(&self) -> bool {
        let now = self.ticks.load(Ordering::Relaxed);
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
        self.stopping.store(true, Ordering::Relaxed);
        for connection in self.lock().values() {
            connection.order(Order::Finish);
        }
    }

    /// Closes connections whose time is up, for ever.
    pub(super) async fn watch(&self, clock: &impl Clock) {
        loop {
            clock.sleep(TICK).await;
            let now = self.ticks.fetch_add(1, Ordering::Relaxed) + 1;
            let stopping = self.stopping.load(Ordering::Relaxed);
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
                all.ticks.fetch_add(1, Ordering::Relaxed);
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
