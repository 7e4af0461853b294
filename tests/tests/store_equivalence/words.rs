//! The calls of a history, and what its numbers stand for.

use guestpass_core::names::{DeviceKey, FlightId, GuestId};
use guestpass_core::seams::SessionStore;
use guestpass_core::secret::Secret;
use guestpass_core::store::ops::{
    Abort, AbortOutcome, Admission, Admit, At, Commit, Idempotency, Proof, StoredToken,
};
use guestpass_tests::scene::{device, guest, key, keyed_device};

use crate::history::{DEVICES, Key};

pub(crate) async fn admit(
    store: &impl SessionStore,
    at: At<'_>,
    who: usize,
    flight: usize,
    key: &Key,
    address: Option<usize>,
) -> Admission {
    let (device, idempotency) = (device_of(who, flight), key_of(key));
    let address = address.map(|number| format!("address{number}"));
    let admit = Admit {
        device: &device,
        flight: &flight_of(flight),
        idempotency: idempotency.as_ref(),
        address_hash: address.as_deref(),
    };
    store.admit(at, &admit).await.expect("admit")
}

pub(crate) async fn commit(
    store: &impl SessionStore,
    at: At<'_>,
    who: usize,
    flight: usize,
    key: &Key,
) -> String {
    let (device, idempotency) = (device_of(who, flight), key_of(key));
    let commit = Commit {
        device: &device,
        flight: &flight_of(flight),
        guest: &guest_of(flight),
        token: &token_of(flight),
        idempotency: idempotency.as_ref(),
    };
    show(store.commit(at, &commit).await)
}

pub(crate) async fn abort(
    store: &impl SessionStore,
    at: At<'_>,
    who: usize,
    flight: usize,
    key: &Key,
    outcome: usize,
) -> String {
    let (device, guest, idempotency) = (device_of(who, flight), guest_of(flight), key_of(key));
    let outcome = match outcome {
        0 => AbortOutcome::Refused,
        1 => AbortOutcome::Orphaned,
        2 => AbortOutcome::CommitFailed(&guest),
        _ => AbortOutcome::Withdrawn(&guest),
    };
    let abort = Abort {
        device: &device,
        flight: &flight_of(flight),
        idempotency: idempotency.as_ref(),
        outcome,
    };
    show(store.abort(at, &abort).await)
}

/// What `due` answers, with the devices by their names (their Debug shows none).
pub(crate) async fn names(
    store: &impl SessionStore,
    at: At<'_>,
    limit: usize,
) -> (Vec<String>, u64, u64) {
    let due = store.due(at, limit).await.expect("due");
    let names = due.devices.iter().map(|device| device.as_str().to_owned()).collect();
    (names, due.orphaned, due.set_aside)
}

/// An admission with the token that it replays, which its Debug does not show.
pub(crate) fn show_admission(admission: &Admission) -> String {
    match admission {
        Admission::Replay(issued) => format!("{admission:?} {}", issued.token.text.expose()),
        _ => show(admission),
    }
}

pub(crate) fn show(answer: impl std::fmt::Debug) -> String {
    format!("{answer:?}")
}

fn flight_of(number: usize) -> FlightId {
    FlightId::from_random((number as u128).to_be_bytes())
}

/// The keys of each client, while they are being rotated: all know all, in any order.
const KEYS: [[&str; 3]; 3] =
    [["new", "old", "spare"], ["old", "spare", "new"], ["spare", "new", "old"]];

/// A device as a client names it. The last one's fingerprint is hashed.
pub(crate) fn device_at(who: usize, number: usize) -> DeviceKey {
    if number + 1 == DEVICES {
        keyed_device(&number.to_string(), &KEYS[who])
    } else {
        device(&number.to_string())
    }
}

pub(crate) fn device_of(who: usize, flight: usize) -> DeviceKey {
    device_at(who, flight % DEVICES)
}

pub(crate) fn guest_of(flight: usize) -> GuestId {
    guest(&format!("g{flight:02}"))
}

fn key_of(chosen: &Key) -> Option<Idempotency> {
    let keyed = |&(number, body, overwrite): &(usize, usize, bool)| Idempotency {
        overwrite,
        ..key(&format!("key{number}"), &format!("body{body}"))
    };
    chosen.as_ref().map(keyed)
}

/// Every other token is sealed.
fn token_of(flight: usize) -> StoredToken {
    let sha256 = flight.is_multiple_of(2).then(|| format!("hash{flight}"));
    StoredToken { text: Secret::new(format!("token{flight}\"\\\u{e9}")), sha256 }
}

pub(crate) fn proof_of(flight: usize, right: bool) -> Proof {
    let flight = if right { flight } else { flight + 1 };
    Proof {
        token: Secret::new(format!("token{flight}\"\\\u{e9}")),
        sha256: format!("hash{flight}"),
    }
}
