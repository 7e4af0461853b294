//! The store over Redis: each operation is one script, run once (once per shard for global ones).
//! Which keys and arguments a script takes stands in its header; how replies are read, in `reply`.

mod keys;
mod reply;
mod scripts;

use bytes::Bytes;
use futures_util::future::join_all;

pub use keys::Keys;
pub use scripts::ALL as SCRIPTS;

use crate::json;
use crate::names::{ClaimId, DeviceKey, GuestId};
use crate::seams::{Kv, Reply, SessionStore, StoreFault};
use crate::store::ops::{
    Abort, AbortOutcome, Admission, Admit, At, Commit, Committed, Due, End, Ended, Expired, Fate,
    IDEMPOTENCY_MS, Idempotency, Job, Proof, Revocation, RevocationState, SessionInfo, Settled,
    Settlement, Stats, StoredToken,
};
use crate::store::script::Script;
use crate::time::UnixMillis;

/// Sessions in Redis, reached through a [`Kv`].
#[derive(Debug)]
pub struct RedisStore<K> {
    kv: K,
    keys: Keys,
}

impl<K: Kv> RedisStore<K> {
    /// A store over `kv`, with its keys named by `keys`.
    pub const fn new(kv: K, keys: Keys) -> Self {
        Self { kv, keys }
    }

    /// How this store names its keys.
    pub const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Runs a script; once more when the connection was lost, which every script allows.
    async fn run(
        &self,
        script: &'static Script,
        keys: Vec<String>,
        args: Vec<Bytes>,
    ) -> Result<Reply, StoreFault> {
        match self.kv.run(script, &keys, &args).await {
            Err(StoreFault::Lost(_)) => self.kv.run(script, &keys, &args).await,
            other => other,
        }
    }

    /// Runs a script in every shard at once. One that fails holds up no other.
    async fn run_everywhere(
        &self,
        script: &'static Script,
        whats: &[&str],
        args: &[Bytes],
    ) -> Vec<Result<Reply, StoreFault>> {
        let keys_of = |shard| whats.iter().map(|what| self.keys.global(shard, what)).collect();
        join_all(self.keys.shards().map(|shard| self.run(script, keys_of(shard), args.to_vec())))
            .await
    }

    /// Runs a script in one shard after the other until one answers 1.
    async fn run_until_found(
        &self,
        script: &'static Script,
        whats: &[&str],
        args: &[Bytes],
    ) -> Result<bool, StoreFault> {
        for shard in self.keys.shards() {
            let keys = whats.iter().map(|what| self.keys.global(shard, what)).collect();
            if reply::integer(&self.run(script, keys, args.to_vec()).await?)? == 1 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The keys of the scripts that end a flight: admit's, and what commit and abort need besides.
    fn flight_keys(&self, device: &DeviceKey, tail: &[&str]) -> (u32, Vec<String>) {
        let shard = self.keys.shard_of(device);
        let mut keys = Vec::with_capacity(5 + tail.len() + 3);
        keys.push(self.keys.device(shard, device.as_str()));
        keys.push(self.keys.of_device(shard, device.as_str(), "flight"));
        keys.extend(["due", "slide", "flights"].map(|what| self.keys.global(shard, what)));
        keys.extend(tail.iter().map(|what| self.keys.global(shard, what)));
        (shard, keys)
    }

    /// The keys of scripts about a device's sessions.
    fn device_keys(&self, device: &DeviceKey, tail: &[&str]) -> Vec<String> {
        let shard = self.keys.shard_of(device);
        let mut keys = vec![self.keys.device(shard, device.as_str())];
        keys.extend(["due", "slide"].iter().chain(tail).map(|what| self.keys.global(shard, what)));
        keys
    }

    /// Adds what the shared `gather` wants, where a device has older names.
    fn gather(
        &self,
        device: &DeviceKey,
        idempotency: Option<&Idempotency>,
        keys: &mut Vec<String>,
        args: &mut Vec<Bytes>,
    ) {
        if device.older().is_empty() {
            return;
        }
        let shard = self.keys.shard_of(device);
        keys.extend(
            ["due", "slide", "outbox", "jobs", "ages", "stats"]
                .map(|what| self.keys.global(shard, what)),
        );
        args.push(flag(idempotency.is_some()));
        for name in
            std::iter::once(device.as_str()).chain(device.older().iter().map(String::as_str))
        {
            keys.push(self.keys.device(shard, name));
            keys.extend(["flight", "rate"].map(|what| self.keys.of_device(shard, name, what)));
            keys.extend(idempotency.map(|key| self.keys.idempotency(shard, name, key)));
            args.push(text(name));
        }
    }
}

/// The answers of the shards that gave one, for work that goes on where it can; a fault when none did.
fn answers<T>(
    operation: &str,
    results: impl IntoIterator<Item = Result<T, StoreFault>>,
) -> Result<Vec<T>, StoreFault> {
    let (mut answers, mut fault) = (Vec::new(), None);
    for result in results {
        match result {
            Ok(answer) => answers.push(answer),
            Err(failed) => {
                tracing::warn!(operation, fault = %failed, "a shard failed");
                fault = Some(failed);
            }
        }
    }
    match fault {
        Some(fault) if answers.is_empty() => Err(fault),
        _ => Ok(answers),
    }
}

/// Whether a script needs the arguments of idempotency, or those of `gather` behind them.
fn asks_more(device: &DeviceKey, idempotency: Option<&Idempotency>) -> bool {
    idempotency.is_some() || !device.older().is_empty()
}

fn text(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn flag(flag: bool) -> Bytes {
    Bytes::from_static(if flag { b"1" } else { b"0" })
}

fn number(number: u64) -> Bytes {
    Bytes::from(number.to_string())
}

fn now(at: At<'_>) -> Bytes {
    number(at.now.get())
}

/// The member of a session without its closing brace: commit may add how many it displaced.
fn open_member(guest: &GuestId, token: &StoredToken) -> Bytes {
    let token_text = token.text.expose();
    let mut member = String::with_capacity(token_text.len() + guest.as_str().len() + 128);
    // The order of these fields is what the fast path of `sessions.lua` knows; guest ids need no escaping.
    member.push_str(r#"{"guestId":""#);
    member.push_str(guest.as_str());
    member.push_str(r#"","guestToken":"#);
    json::push_string(&mut member, token_text);
    if let Some(hash) = &token.sha256 {
        member.push_str(r#","tokenSha256":""#);
        member.push_str(hash);
        member.push('"');
    }
    Bytes::from(member)
}

impl<K: Kv> SessionStore for RedisStore<K> {
    async fn admit(&self, at: At<'_>, admit: &Admit<'_>) -> Result<Admission, StoreFault> {
        let limits = at.limits;
        let (shard, mut keys) = self.flight_keys(admit.device, &["cool", "stats"]);
        if let Some(key) = admit.idempotency {
            keys.push(self.keys.idempotency(shard, admit.device.as_str(), key));
        }
        if limits.rate_per_device > 0 {
            keys.push(self.keys.of_device(shard, admit.device.as_str(), "rate"));
        }
        let rate_per_ip = match admit.address_hash {
            Some(hash) if limits.rate_per_ip > 0 => {
                keys.push(self.keys.global(shard, &format!("rate:{hash}")));
                limits.rate_per_ip
            }
            _ => 0,
        };
        let mut args = vec![
            now(at),
            text(admit.device.as_str()),
            text(admit.flight.as_str()),
            number(at.now.plus(limits.flight_ms).get()),
            number(limits.cap.into()),
            number(limits.ttl_ms),
            number(limits.max_age_ms),
        ];
        let has_rate = limits.rate_per_device > 0 || rate_per_ip > 0;
        if has_rate || asks_more(admit.device, admit.idempotency) {
            args.extend([
                text(admit.idempotency.map_or("", |key| &key.body_hash)),
                flag(admit.idempotency.is_some_and(|key| key.overwrite)),
                number(limits.rate_per_device.into()),
                number(rate_per_ip.into()),
            ]);
        }
        self.gather(admit.device, admit.idempotency, &mut keys, &mut args);
        reply::admission(&self.run(&scripts::ADMIT, keys, args).await?)
    }

    async fn commit(&self, at: At<'_>, commit: &Commit<'_>) -> Result<Committed, StoreFault> {
        let limits = at.limits;
        let (shard, mut keys) =
            self.flight_keys(commit.device, &["outbox", "jobs", "ages", "stats"]);
        if let Some(key) = commit.idempotency {
            keys.push(self.keys.idempotency(shard, commit.device.as_str(), key));
        }
        let mut args = vec![
            now(at),
            text(commit.device.as_str()),
            text(commit.flight.as_str()),
            text(commit.guest.as_str()),
            open_member(commit.guest, commit.token),
            number(limits.cap.into()),
            number(limits.ttl_ms),
            number(limits.max_age_ms),
        ];
        if asks_more(commit.device, commit.idempotency) {
            args.push(text(commit.idempotency.map_or("", |key| &key.body_hash)));
            args.push(number(IDEMPOTENCY_MS));
        }
        self.gather(commit.device, commit.idempotency, &mut keys, &mut args);
        reply::committed(&self.run(&scripts::COMMIT, keys, args).await?)
    }

    async fn abort(&self, at: At<'_>, abort: &Abort<'_>) -> Result<(), StoreFault> {
        let (shard, mut keys) =
            self.flight_keys(abort.device, &["outbox", "jobs", "ages", "stats"]);
        if let Some(key) = abort.idempotency {
            keys.push(self.keys.idempotency(shard, abort.device.as_str(), key));
        }
        let (outcome, guest) = match abort.outcome {
            AbortOutcome::Refused => ("refused", ""),
            AbortOutcome::Orphaned => ("orphaned", ""),
            AbortOutcome::CommitFailed(guest) => ("commit_failed", guest.as_str()),
            AbortOutcome::Withdrawn(guest) => ("withdrawn", guest.as_str()),
        };
        let mut args = vec![
            now(at),
            text(abort.device.as_str()),
            text(abort.flight.as_str()),
            text(outcome),
            text(guest),
            number(at.limits.ttl_ms),
            number(at.limits.max_age_ms),
            flag(abort.idempotency.is_some()),
        ];
        self.gather(abort.device, abort.idempotency, &mut keys, &mut args);
        reply::integer(&self.run(&scripts::ABORT, keys, args).await?).map(|_| ())
    }

    async fn renew(
        &self,
        at: At<'_>,
        device: &DeviceKey,
        guest: &GuestId,
        proof: &Proof,
    ) -> Result<Option<UnixMillis>, StoreFault> {
        let mut keys = self.device_keys(device, &[]);
        let mut args = vec![
            now(at),
            text(device.as_str()),
            text(guest.as_str()),
            text(proof.token.expose()),
            text(&proof.sha256),
            number(at.limits.ttl_ms),
            number(at.limits.max_age_ms),
        ];
        self.gather(device, None, &mut keys, &mut args);
        match self.run(&scripts::RENEW, keys, args).await? {
            Reply::Nil => Ok(None),
            expiry => reply::time(&expiry).map(Some),
        }
    }

    async fn end(
        &self,
        at: At<'_>,
        device: &DeviceKey,
        end: &End<'_>,
    ) -> Result<Ended, StoreFault> {
        let (which, guest, token, sha256) = match end {
            End::One(guest) => ("one", guest.as_str(), "", ""),
            End::Own(guest, proof) => {
                ("own", guest.as_str(), proof.token.expose(), proof.sha256.as_str())
            }
            End::All => ("all", "", "", ""),
        };
        let mut args = vec![
            now(at),
            text(device.as_str()),
            text(which),
            text(guest),
            text(token),
            text(sha256),
            number(at.limits.ttl_ms),
            number(at.limits.max_age_ms),
        ];
        let mut keys = self.device_keys(device, &["outbox", "jobs", "ages", "stats"]);
        self.gather(device, None, &mut keys, &mut args);
        reply::ended(&self.run(&scripts::END, keys, args).await?)
    }

    async fn list(&self, at: At<'_>, device: &DeviceKey) -> Result<Vec<SessionInfo>, StoreFault> {
        let mut keys = self.device_keys(device, &[]);
        let mut args = vec![
            now(at),
            text(device.as_str()),
            number(at.limits.ttl_ms),
            number(at.limits.max_age_ms),
        ];
        self.gather(device, None, &mut keys, &mut args);
        reply::sessions(&self.run(&scripts::LIST, keys, args).await?)
    }

    async fn due(&self, at: At<'_>, limit: usize) -> Result<Due, StoreFault> {
        let args = [now(at), number(limit as u64)];
        let replies = self.run_everywhere(&scripts::DUE, &["due", "flights", "stats"], &args).await;
        let (mut all, mut devices) = (Due::default(), Vec::new());
        let replies =
            self.keys.shards().zip(replies).map(|(shard, reply)| reply::due(&reply?, shard));
        for (due, since) in answers("due", replies)? {
            devices.extend(since);
            all.orphaned += due.orphaned;
            all.set_aside += due.set_aside;
        }
        devices.sort_unstable();
        all.devices = devices.into_iter().map(|(_, device)| device).take(limit).collect();
        Ok(all)
    }

    async fn expire(&self, at: At<'_>, devices: &[DeviceKey]) -> Result<Expired, StoreFault> {
        let of_shard =
            |shard| devices.iter().filter(move |device| self.keys.shard_of(device) == shard);
        let shards = self.keys.shards().filter(|shard| of_shard(*shard).next().is_some());
        let replies = join_all(shards.map(|shard| {
            let mut keys: Vec<_> = ["due", "slide", "outbox", "jobs", "ages", "stats"]
                .map(|what| self.keys.global(shard, what))
                .into();
            keys.extend(of_shard(shard).map(|device| self.keys.device(shard, device.as_str())));
            let mut args = vec![now(at), number(at.limits.ttl_ms), number(at.limits.max_age_ms)];
            args.extend(of_shard(shard).map(|device| text(device.as_str())));
            self.run(&scripts::EXPIRE, keys, args)
        }))
        .await;
        let mut all = Expired::default();
        for expired in answers("expire", replies.into_iter().map(|reply| reply::expired(&reply?)))?
        {
            all.sessions += expired.sessions;
            all.set_aside += expired.set_aside;
        }
        Ok(all)
    }

    async fn claim(
        &self,
        at: At<'_>,
        claim: &ClaimId,
        limit: usize,
    ) -> Result<Vec<Job>, StoreFault> {
        let (mut jobs, mut results) = (Vec::new(), Vec::new());
        // Begin with another shard each time, so that none waits behind the others' backlog. Claim ids are
        // random; the time is not, when sweepers tick at round intervals.
        let count = self.keys.shards().count().max(1);
        let first = claim.as_str().bytes().map(usize::from).sum::<usize>() % count;
        for shard in self.keys.shards().cycle().skip(first).take(count) {
            let room = limit.saturating_sub(jobs.len());
            if room == 0 {
                break;
            }
            let keys =
                ["outbox", "jobs", "ages", "cool"].map(|what| self.keys.global(shard, what)).into();
            let args = vec![
                now(at),
                number(room as u64),
                number(at.limits.lease_ms),
                text(claim.as_str()),
            ];
            let reply = self.run(&scripts::CLAIM, keys, args).await;
            results.push(
                reply.and_then(|reply| reply::jobs(&reply, shard)).map(|found| jobs.extend(found)),
            );
        }
        answers("claim", results).map(|_| jobs)
    }

    async fn settle(
        &self,
        at: At<'_>,
        claim: &ClaimId,
        settlements: &[Settlement],
    ) -> Result<Settled, StoreFault> {
        let (mut all, mut fault) = (Settled::default(), None);
        for shard in self.keys.shards() {
            let mut args = vec![now(at), text(claim.as_str())];
            for settlement in settlements.iter().filter(|settlement| settlement.shard == shard) {
                let (fate, next, error) = match &settlement.fate {
                    Fate::Revoked => ("revoked", 0, ""),
                    Fate::Retry { at, error } => ("retry", at.get(), error.as_str()),
                    Fate::Stuck { error } => ("stuck", 0, error.as_str()),
                    Fate::Released { at } => ("released", at.get(), ""),
                };
                args.extend([
                    text(settlement.guest.as_str()),
                    text(fate),
                    number(next),
                    text(error),
                ]);
            }
            if args.len() > 2 {
                let keys = ["outbox", "jobs", "ages", "stuck", "stats"]
                    .map(|what| self.keys.global(shard, what))
                    .into();
                let reply = self.run(&scripts::SETTLE, keys, args).await;
                match reply.and_then(|reply| reply::settled(&reply)) {
                    Ok(settled) => all.add(settled),
                    Err(failed) => fault = Some(failed),
                }
            }
        }
        fault.map_or(Ok(all), Err)
    }

    async fn revocations(
        &self,
        _at: At<'_>,
        state: RevocationState,
        limit: usize,
    ) -> Result<Vec<Revocation>, StoreFault> {
        let args = [text(state.as_str()), number(limit as u64)];
        let replies =
            self.run_everywhere(&scripts::REVOCATIONS, &["outbox", "jobs", "stuck"], &args).await;
        let mut all = Vec::new();
        for reply in replies {
            all.extend(reply::revocations(&reply?, state)?);
        }
        Revocation::sort(&mut all);
        all.truncate(limit);
        Ok(all)
    }

    async fn retry(&self, at: At<'_>, guest: &GuestId) -> Result<bool, StoreFault> {
        let args = [now(at), text(guest.as_str())];
        self.run_until_found(&scripts::RETRY, &["outbox", "jobs", "ages", "stuck"], &args).await
    }

    async fn abandon(&self, _at: At<'_>, guest: &GuestId) -> Result<bool, StoreFault> {
        let args = [text(guest.as_str())];
        self.run_until_found(
            &scripts::ABANDON,
            &["outbox", "jobs", "ages", "stuck", "stats"],
            &args,
        )
        .await
    }

    async fn cool_down(
        &self,
        at: At<'_>,
        until: Option<UnixMillis>,
    ) -> Result<UnixMillis, StoreFault> {
        let args = [now(at), number(until.map_or(0, UnixMillis::get))];
        let replies = self.run_everywhere(&scripts::COOL_DOWN, &["cool"], &args).await;
        let latest =
            |latest: UnixMillis, reply: Result<_, _>| Ok(latest.max(reply::time(&reply?)?));
        replies.into_iter().try_fold(UnixMillis::default(), latest)
    }

    async fn token(&self, keep: Option<(&str, u64)>) -> Result<Option<String>, StoreFault> {
        let (sealed, millis) = keep.unwrap_or(("", 0));
        let args = vec![text(sealed), number(millis)];
        let unreadable = || StoreFault::Unreadable("expected a sealed token".to_owned());
        match self.run(&scripts::TOKEN, vec![self.keys.global(0, "token")], args).await? {
            Reply::Nil => Ok(None),
            Reply::Bytes(bytes) => {
                String::from_utf8(bytes.into()).map(Some).map_err(|_| unreadable())
            }
            _ => Err(unreadable()),
        }
    }

    async fn stats(&self, at: At<'_>) -> Result<Stats, StoreFault> {
        let whats = ["due", "flights", "outbox", "ages", "stuck", "stats", "cool"];
        let replies = self.run_everywhere(&scripts::STATS, &whats, &[now(at)]).await;
        replies.into_iter().try_fold(Stats::default(), |mut sum, reply| {
            sum.add(&reply::stats(&reply?)?);
            Ok(sum)
        })
    }
}
