//! Reads what scripts return. A shape that no script returns is an error, never a guess; a stored
//! record that cannot be read is set aside with a warning and stops nothing.

use serde::Deserialize;

use crate::names::{DeviceKey, GuestId};
use crate::seams::{Reply, StoreFault};
use crate::secret::Secret;
use crate::store::ops::{
    Admission, Committed, Counter, Due, Ended, Expired, Issued, Job, Reason, Revocation,
    RevocationState, SessionInfo, Settled, Stats, StoredToken,
};
use crate::time::UnixMillis;

fn unreadable(what: &str) -> StoreFault {
    StoreFault::Unreadable(what.to_owned())
}

fn array(reply: &Reply) -> Result<&[Reply], StoreFault> {
    match reply {
        Reply::Array(items) => Ok(items),
        _ => Err(unreadable("expected a list")),
    }
}

fn string(reply: &Reply) -> Result<&str, StoreFault> {
    match reply {
        Reply::Bytes(bytes) => std::str::from_utf8(bytes).map_err(|_| unreadable("expected UTF-8")),
        _ => Err(unreadable("expected a string")),
    }
}

/// A number, as an integer reply or as decimal text.
pub(super) fn integer(reply: &Reply) -> Result<u64, StoreFault> {
    let wrong = || unreadable("expected a number");
    match reply {
        Reply::Int(number) => u64::try_from(*number).map_err(|_| wrong()),
        other => string(other)?.parse().map_err(|_| wrong()),
    }
}

/// A time in Unix milliseconds.
pub(super) fn time(reply: &Reply) -> Result<UnixMillis, StoreFault> {
    integer(reply).map(UnixMillis::new)
}

fn count(reply: &Reply) -> Result<u32, StoreFault> {
    u32::try_from(integer(reply)?).map_err(|_| unreadable("expected a small number"))
}

/// A list whose first `N` items are fixed; the rest varies.
fn head<const N: usize>(reply: &Reply) -> Result<(&[Reply; N], &[Reply]), StoreFault> {
    array(reply)?.split_first_chunk().ok_or_else(|| unreadable("too short a list"))
}

/// The rest of a list in groups of `N`.
fn groups<const N: usize>(items: &[Reply]) -> Result<&[[Reply; N]], StoreFault> {
    match items.as_chunks() {
        (groups, []) => Ok(groups),
        _ => Err(unreadable("an incomplete group")),
    }
}

fn guest(reply: &Reply) -> Result<GuestId, StoreFault> {
    GuestId::parse(string(reply)?).map_err(|_| unreadable("expected a guest id"))
}

fn warn_set_aside(operation: &str, number: u64) {
    if number > 0 {
        tracing::warn!(operation, number, "set aside what could not be read in the store");
    }
}

/// An idempotency record that is bound to an answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    created_at: u64,
    expires_at: u64,
    evicted: u32,
    member: Member,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Member {
    guest_id: String,
    guest_token: String,
    token_sha256: Option<String>,
}

fn issued(record: &str) -> Result<Issued, StoreFault> {
    let wrong = || unreadable("an idempotency record");
    let record: Record = serde_json::from_str(record).map_err(|_| wrong())?;
    Ok(Issued {
        guest: GuestId::parse(&record.member.guest_id).map_err(|_| wrong())?,
        token: StoredToken {
            text: Secret::new(record.member.guest_token),
            sha256: record.member.token_sha256,
        },
        created_at: UnixMillis::new(record.created_at),
        expires_at: UnixMillis::new(record.expires_at),
        evicted: record.evicted,
    })
}

pub(super) fn admission(reply: &Reply) -> Result<Admission, StoreFault> {
    if matches!(reply, Reply::Bytes(answer) if answer == "granted") {
        return Ok(Admission::Granted);
    }
    let ([answer, detail, set_aside], _) = head(reply)?;
    warn_set_aside("admit", integer(set_aside)?);
    Ok(match string(answer)? {
        "granted" => Admission::Granted,
        "replay" => issued(string(detail)?).map_or_else(
            |_| {
                warn_set_aside("admit", 1);
                Admission::Unreadable
            },
            Admission::Replay,
        ),
        "in_flight" => Admission::InFlight,
        "mismatch" => Admission::Mismatch,
        "cool" => Admission::CoolDown(time(detail)?),
        "rate" => Admission::RateLimited(time(detail)?),
        "busy" => Admission::Busy,
        _ => return Err(unreadable("an unknown admission")),
    })
}

pub(super) fn committed(reply: &Reply) -> Result<Committed, StoreFault> {
    let ([created, expires, evicted, expired, set_aside], _) = head(reply)?;
    warn_set_aside("commit", integer(set_aside)?);
    Ok(Committed {
        created_at: time(created)?,
        expires_at: time(expires)?,
        evicted: count(evicted)?,
        expired: count(expired)?,
        set_aside: count(set_aside)?,
    })
}

pub(super) fn ended(reply: &Reply) -> Result<Ended, StoreFault> {
    let ([ended, expired], _) = head(reply)?;
    Ok(Ended { ended: count(ended)?, expired: count(expired)? })
}

pub(super) fn sessions(reply: &Reply) -> Result<Vec<SessionInfo>, StoreFault> {
    let ([set_aside], rest) = head(reply)?;
    warn_set_aside("list", integer(set_aside)?);
    let session = |[id, created, expires]: &[Reply; 3]| {
        Ok(SessionInfo {
            guest: guest(id)?,
            created_at: time(created)?,
            expires_at: time(expires)?,
        })
    };
    groups(rest)?.iter().map(session).collect()
}

/// What one shard answers to `due`: its devices apart, each with since when it is due.
pub(super) fn due(
    reply: &Reply,
    shard: u32,
) -> Result<(Due, Vec<(UnixMillis, DeviceKey)>), StoreFault> {
    let ([orphaned, set_aside], rest) = head(reply)?;
    warn_set_aside("due", integer(set_aside)?);
    let device = |[name, since]: &[Reply; 2]| {
        let name = DeviceKey::from_shard(shard, string(name)?)
            .map_err(|_| unreadable("expected a device's name"));
        Ok((time(since)?, name?))
    };
    let due =
        Due { devices: Vec::new(), orphaned: integer(orphaned)?, set_aside: integer(set_aside)? };
    Ok((due, groups(rest)?.iter().map(device).collect::<Result<_, _>>()?))
}

pub(super) fn expired(reply: &Reply) -> Result<Expired, StoreFault> {
    let ([sessions, set_aside], _) = head(reply)?;
    warn_set_aside("expire", integer(set_aside)?);
    Ok(Expired { sessions: integer(sessions)?, set_aside: integer(set_aside)? })
}

pub(super) fn jobs(reply: &Reply, shard: u32) -> Result<Vec<Job>, StoreFault> {
    let ([set_aside], rest) = head(reply)?;
    warn_set_aside("claim", integer(set_aside)?);
    let job = |[id, attempts]: &[Reply; 2]| {
        Ok(Job { guest: guest(id)?, attempts: count(attempts)?, shard })
    };
    groups(rest)?.iter().map(job).collect()
}

pub(super) fn settled(reply: &Reply) -> Result<Settled, StoreFault> {
    let ([revoked, retried, stuck, released, late], _) = head(reply)?;
    Ok(Settled {
        revoked: integer(revoked)?,
        retried: integer(retried)?,
        stuck: integer(stuck)?,
        released: integer(released)?,
        late: integer(late)?,
    })
}

/// A revocation's JSON. Every field may be missing or of another type in what somebody else wrote.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct StoredJob {
    reason: Option<String>,
    attempts: u32,
    enqueued_at: u64,
    last_error: Option<String>,
}

pub(super) fn revocations(
    reply: &Reply,
    state: RevocationState,
) -> Result<Vec<Revocation>, StoreFault> {
    let mut all = Vec::new();
    for [id, next, job] in groups(array(reply)?)? {
        let (Ok(guest), Reply::Bytes(job)) = (guest(id), job) else {
            warn_set_aside("revocations", 1);
            continue;
        };
        let job: StoredJob = serde_json::from_slice(job).unwrap_or_else(|_| {
            warn_set_aside("revocations", 1);
            StoredJob::default()
        });
        all.push(Revocation {
            guest,
            reason: job.reason.as_deref().and_then(Reason::parse),
            state,
            attempts: job.attempts,
            enqueued_at: UnixMillis::new(job.enqueued_at),
            next_attempt_at: match state {
                RevocationState::Pending => time(next).ok(),
                RevocationState::Stuck => None,
            },
            last_error: job.last_error,
        });
    }
    Ok(all)
}

pub(super) fn stats(reply: &Reply) -> Result<Stats, StoreFault> {
    let ([devices, in_flight, pending, stuck, oldest, cool], rest) = head(reply)?;
    let mut stats = Stats {
        devices: integer(devices)?,
        in_flight: integer(in_flight)?,
        pending_revocations: integer(pending)?,
        stuck_revocations: integer(stuck)?,
        oldest_pending: Some(time(oldest)?).filter(|oldest| *oldest > UnixMillis::default()),
        cool_until: time(cool)?,
        ..Stats::default()
    };
    for [name, value] in groups(rest)? {
        let counter =
            string(name).ok().and_then(|name| Counter::ALL.into_iter().find(|c| c.name() == name));
        match (counter, integer(value)) {
            (Some(counter), Ok(value)) => stats.set_counter(counter, value),
            _ => warn_set_aside("stats", 1),
        }
    }
    Ok(stats)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn shapes_that_no_script_returns_are_errors() {
        let wrong =
            [Reply::Nil, Reply::Int(-1), Reply::Array(vec![]), Reply::Array(vec![Reply::Int(1)])];
        for reply in &wrong {
            assert!(
                admission(reply).is_err() && committed(reply).is_err() && stats(reply).is_err()
            );
            assert!(settled(reply).is_err() && expired(reply).is_err() && due(reply, 0).is_err());
        }
    }
}
