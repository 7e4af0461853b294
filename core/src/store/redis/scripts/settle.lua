-- settle: records how claimed revocations went.
-- KEYS 1 outbox, 2 jobs, 3 ages, 4 stuck, 5 stats
-- ARGV 1 now, 2 claim id, then for each: guest id, fate: revoked | retry | stuck | released, next attempt, error
-- Returns {revoked, retried, stuck, released, late}: late ones, whose claim no longer holds, change nothing
-- Repeatable: a claim holds until it is settled, and no longer.
local now, claim = ARGV[1] + 0, ARGV[2]
local n = {revoked = 0, retry = 0, stuck = 0, released = 0, late = 0}
even_when_full(KEYS[1])
local guests, gone, settled = {}, {}, {}
for i = 3, #ARGV, 4 do guests[#guests + 1] = ARGV[i] end
local texts, leases = each('HMGET', KEYS[2], guests), each('ZMSCORE', KEYS[1], guests)
for i, guest in ipairs(guests) do
  local fate, at, failure = ARGV[i * 4], ARGV[i * 4 + 1], ARGV[i * 4 + 2]
  if settled[guest] or not is_claimed(texts[i], claim) or (leases[i] or 0) + 0 <= now then
    fate = 'late'
  elseif fate == 'revoked' then
    gone[#gone + 1] = guest
  else
    local job = job_of(texts[i], guest, now)
    job.claim = nil
    if fate ~= 'released' then
      job.attempts = job.attempts + 1
      job.lastError = failure
    end
    if fate == 'stuck' then
      gone[#gone + 1] = guest
      redis.call('HSET', KEYS[4], guest, cjson.encode(job))
    else
      redis.call('HSET', KEYS[2], guest, cjson.encode(job))
      redis.call('ZADD', KEYS[1], at, guest)
    end
  end
  if fate ~= 'late' then settled[guest] = true end
  n[fate] = n[fate] + 1
end
each('HDEL', KEYS[2], gone)
each('ZREM', KEYS[1], gone)
each('ZREM', KEYS[3], gone)
if n.revoked > 0 then redis.call('HINCRBY', KEYS[5], 'revoked', n.revoked) end
if n.retry + n.stuck > 0 then redis.call('HINCRBY', KEYS[5], 'revokeFailed', n.retry + n.stuck) end
if n.stuck > 0 then redis.call('HINCRBY', KEYS[5], 'stuck', n.stuck) end
return {n.revoked, n.retry, n.stuck, n.released, n.late}
