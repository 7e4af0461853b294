-- settle: records how claimed revocations went.
-- KEYS 1 outbox, 2 jobs, 3 ages, 4 stuck, 5 stats
-- ARGV 1 now, 2 claim id, then for each: guest id, fate: revoked | retry | stuck | released, next attempt, error
-- Returns {revoked, retried, stuck, released, late}: late ones, whose claim no longer holds, change nothing
-- Repeatable: a claim holds until it is settled, and no longer.
local now, claim = tonumber(ARGV[1]), ARGV[2]
local n = {revoked = 0, retry = 0, stuck = 0, released = 0, late = 0}
even_when_full(KEYS[1])
for i = 3, #ARGV, 4 do
  local guest, fate = ARGV[i], ARGV[i + 1]
  local job = job_of(redis.call('HGET', KEYS[2], guest), guest, now)
  local ends = tonumber(redis.call('ZSCORE', KEYS[1], guest) or 0)
  if job.claim ~= claim or ends <= now then
    fate = 'late'
  else
    if fate == 'retry' or fate == 'stuck' then
      job.attempts = job.attempts + 1
      job.lastError = ARGV[i + 3]
    end
    job.claim = nil
    if fate == 'retry' or fate == 'released' then
      redis.call('HSET', KEYS[2], guest, cjson.encode(job))
      redis.call('ZADD', KEYS[1], ARGV[i + 2], guest)
    else
      redis.call('HDEL', KEYS[2], guest)
      redis.call('ZREM', KEYS[1], guest)
      redis.call('ZREM', KEYS[3], guest)
      if fate == 'stuck' then redis.call('HSET', KEYS[4], guest, cjson.encode(job)) end
    end
  end
  n[fate] = n[fate] + 1
end
if n.revoked > 0 then redis.call('HINCRBY', KEYS[5], 'revoked', n.revoked) end
if n.retry + n.stuck > 0 then redis.call('HINCRBY', KEYS[5], 'revokeFailed', n.retry + n.stuck) end
if n.stuck > 0 then redis.call('HINCRBY', KEYS[5], 'stuck', n.stuck) end
return {n.revoked, n.retry, n.stuck, n.released, n.late}
