//! The balance of guests: what Genesys created is accounted for, whatever went wrong (P2, P3).

use std::collections::BTreeSet;

use crate::seams::StoreFault;
use crate::store::ops::Counter;
use crate::test_support::{Act, Host, Look, Spoil, World};

/// Every way in which a call to the store goes wrong.
pub(super) fn spoils() -> Vec<Spoil> {
    let what = || "test".to_owned();
    let faults = [
        StoreFault::Lost(what()),
        StoreFault::Unreachable(what()),
        StoreFault::Refused(what()),
        StoreFault::Unreadable(what()),
    ];
    faults
        .into_iter()
        .flat_map(|fault| [false, true].map(|done| Spoil { fault: fault.clone(), done }))
        .collect()
}

/// Ways in which a call to Genesys goes wrong without Genesys telling lies of guests.
pub(super) fn acts() -> Vec<Act> {
    let html = |status| Act::Answer(status, vec![], "<html>".to_owned());
    let mut acts: Vec<_> = [400, 401, 403, 500, 503].into_iter().map(Act::status).collect();
    acts.extend([html(404), html(502), Act::status(429), Act::rate_limited("2")]);
    acts.extend([Act::rate_limited("40"), Act::NotSent]);
    acts.extend([false, true].map(|done| Act::Broken { done }));
    acts.extend([false, true].map(|done| Act::Hang { done }));
    acts.extend(["", "{}", r#"{"id":"../x"}"#].map(|body| Act::DoneBut(201, body.to_owned())));
    acts.push(Act::Slow(14_000));
    acts
}

/// Lets time pass with a sweep now and then, until nothing is left to do (well within the sessions' TTL).
pub(super) fn settle_down(world: &World, host: &Host) {
    for _ in 0..12 {
        world.clock.advance(30_000);
        world.sweep(host);
    }
}

/// Checks that every guest is where a guest may be; answers the store's state.
pub(super) fn balanced(world: &World, what: &str) -> Look {
    balanced_up_to(world, 2, what)
}

pub(super) fn balanced_up_to(world: &World, cap: usize, what: &str) -> Look {
    let look = accounted(world, cap, what);
    let invalidated = world.genesys.invalidated();
    for id in look.guests() {
        assert!(!invalidated.contains_key(id), "{what}: {id} is live but revoked");
    }
    look
}

/// Checks that every guest is live, to be revoked, revoked, or counted as orphaned (P2).
pub(super) fn accounted(world: &World, cap: usize, what: &str) -> Look {
    let look = world.look();
    let invalidated = world.genesys.invalidated();
    let live: BTreeSet<_> = look.sessions.iter().map(|s| s.guest.as_str()).collect();
    let filed: BTreeSet<_> =
        look.pending.iter().chain(&look.stuck).map(|r| r.guest.as_str()).collect();
    let created = world.genesys.created();
    let lost = created
        .iter()
        .map(String::as_str)
        .filter(|id| !live.contains(id) && !filed.contains(id) && !invalidated.contains_key(*id))
        .count() as u64;
    let orphaned = look.counter(Counter::Orphaned);
    assert!(lost <= orphaned, "{what}: {lost} guests lost, {orphaned} orphaned; {look:?}");
    for id in &live {
        assert!(!filed.contains(id), "{what}: {id} is live but to be revoked");
        assert!(created.iter().any(|guest| guest == id), "{what}: {id} is made up");
    }
    assert!(live.len() <= cap, "{what}: over the cap");
    look
}
