//! Random histories: what several clients whose clocks disagree do to a few devices.

use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::{option, sample};

/// Creates of a history; each has its device, its guest and its token, so that calls repeat by themselves.
pub(crate) const FLIGHTS: usize = 24;

/// Devices of a history.
pub(crate) const DEVICES: usize = 3;

/// An idempotency key and a body, by number, and whether to overwrite.
pub(crate) type Key = Option<(usize, usize, bool)>;

/// What happens next.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// Whose clock says what time it is.
    pub(crate) client: usize,
    pub(crate) action: Action,
}

#[derive(Debug, Clone)]
pub(crate) enum Action {
    Advance {
        millis: i64,
    },
    Cap(u32),
    Ttl(u64),
    MaxAge(u64),
    Rates(u32, u32),
    Admit {
        flight: usize,
        key: Key,
        address: Option<usize>,
    },
    Commit {
        flight: usize,
        key: Key,
    },
    /// Admit and commit in one go, so that histories get somewhere.
    Issue {
        flight: usize,
        key: Key,
    },
    Abort {
        flight: usize,
        key: Key,
        outcome: usize,
    },
    Renew {
        flight: usize,
        right: bool,
    },
    EndOne {
        flight: usize,
    },
    EndOwn {
        flight: usize,
        right: bool,
    },
    EndAll {
        device: usize,
    },
    Due {
        limit: usize,
    },
    Expire {
        device: usize,
    },
    Sweep,
    Claim {
        claim: usize,
        limit: usize,
    },
    /// Settles what a claim got, or a part of it, with fates by number; maybe under another claim.
    Settle {
        claim: usize,
        under: usize,
        fates: Vec<usize>,
    },
    Retry {
        flight: usize,
    },
    Abandon {
        flight: usize,
    },
    CoolDown {
        wait: Option<i64>,
    },
    /// The last call once more, at the same client.
    Again,
}

fn flight() -> impl Strategy<Value = usize> {
    0..FLIGHTS
}

fn key() -> impl Strategy<Value = Key> {
    option::weighted(0.4, (0..2_usize, 0..2_usize, proptest::bool::weighted(0.2)))
}

fn time() -> impl Strategy<Value = Action> {
    let forwards =
        sample::select(vec![0, 1, 999, 5000, 20_000, 30_000, 60_000, 200_000, 600_000, 3_600_000]);
    let millis = prop_oneof![
        4 => forwards,
        1 => 0..100_000_i64,
        2 => -120_000..0_i64,
    ];
    millis.prop_map(|millis| Action::Advance { millis })
}

fn limits() -> impl Strategy<Value = Action> {
    prop_oneof![
        2 => (1..5_u32).prop_map(Action::Cap),
        1 => sample::select(vec![1000, 60_000, 3_600_000]).prop_map(Action::Ttl),
        2 => sample::select(vec![0, 0, 1000, 50_000, 7_200_000]).prop_map(Action::MaxAge),
        1 => (0..4_u32, 0..4_u32).prop_map(|(device, address)| Action::Rates(device, address)),
    ]
}

fn sessions() -> impl Strategy<Value = Action> {
    let address = option::of(0..2_usize);
    prop_oneof![
        4 => (flight(), key(), address)
            .prop_map(|(flight, key, address)| Action::Admit { flight, key, address }),
        4 => (flight(), key()).prop_map(|(flight, key)| Action::Commit { flight, key }),
        6 => (flight(), key()).prop_map(|(flight, key)| Action::Issue { flight, key }),
        3 => (flight(), key(), 0..4_usize)
            .prop_map(|(flight, key, outcome)| Action::Abort { flight, key, outcome }),
        2 => (flight(), any::<bool>()).prop_map(|(flight, right)| Action::Renew { flight, right }),
        1 => flight().prop_map(|flight| Action::EndOne { flight }),
        1 => (flight(), any::<bool>()).prop_map(|(flight, right)| Action::EndOwn { flight, right }),
        1 => (0..DEVICES).prop_map(|device| Action::EndAll { device }),
        1 => (0..4_usize).prop_map(|limit| Action::Due { limit }),
        1 => (0..DEVICES).prop_map(|device| Action::Expire { device }),
        2 => sample::select(vec![Action::Sweep]),
    ]
}

fn revocations() -> impl Strategy<Value = Action> {
    let fates = proptest::collection::vec(0..5_usize, 0..4);
    prop_oneof![
        4 => (0..4_usize, 1..5_usize).prop_map(|(claim, limit)| Action::Claim { claim, limit }),
        3 => (0..4_usize, fates.clone())
            .prop_map(|(claim, fates)| Action::Settle { claim, under: claim, fates }),
        1 => (0..4_usize, 0..4_usize, fates)
            .prop_map(|(claim, under, fates)| Action::Settle { claim, under, fates }),
        1 => flight().prop_map(|flight| Action::Retry { flight }),
        1 => flight().prop_map(|flight| Action::Abandon { flight }),
        1 => option::of(-5000..20_000_i64).prop_map(|wait| Action::CoolDown { wait }),
    ]
}

/// Any step.
pub(crate) fn step() -> impl Strategy<Value = Step> {
    let action = prop_oneof![
        4 => time(),
        2 => limits(),
        10 => sessions(),
        5 => revocations(),
        2 => sample::select(vec![Action::Again]),
    ];
    (0..3_usize, action).prop_map(|(client, action)| Step { client, action })
}
