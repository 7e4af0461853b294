-- end: ends one session or all of a device's, and files a revocation for each.
-- KEYS 1 device, 2 due, 3 slide, 4 outbox, 5 jobs, 6 ages, 7 stats; then what `gather` wants
-- ARGV 1 now, 2 device name, 3 which: one | own | all, 4 guest id or '', 5 token or '', 6 its SHA-256 or '',
--      7 ttl, 8 max age; then what `gather` wants
-- Returns {ended, expired}: sessions met that had expired are dropped too, as expired
-- Repeatable: a session that is gone is not ended again.
local now, name, which = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local ttl, max_age = tonumber(ARGV[7]), tonumber(ARGV[8])
even_when_full(KEYS[2])
gather(8, now, ttl, max_age)
local found = sessions(KEYS[1])
if #found == 0 then
  unschedule(KEYS[2], KEYS[3], name)
  return {0, 0}
end
local expiry = expiry_of(KEYS[2], KEYS[3], name) or adopt(KEYS[1], KEYS[2], KEYS[3], name, now, ttl, max_age)
local ended, expired = 0, 0
for _, session in ipairs(found) do
  local reason
  if is_expired(session, expiry, now, max_age) then
    reason, expired = 'expired', expired + 1
  elseif which == 'all' or (session[1] == ARGV[4] and (which == 'one' or holds(session[3], ARGV[5], ARGV[6]))) then
    reason, ended = 'ended', ended + 1
  end
  if reason then
    file(KEYS[4], KEYS[5], KEYS[6], session[1], reason)
    redis.call('ZREM', KEYS[1], session[3])
  end
end
if ended + expired == #found then
  unschedule(KEYS[2], KEYS[3], name)
elseif ended + expired > 0 then
  schedule(KEYS[1], KEYS[2], KEYS[3], name, expiry, now, max_age)
end
if ended > 0 then redis.call('HINCRBY', KEYS[7], 'ended', ended) end
if expired > 0 then redis.call('HINCRBY', KEYS[7], 'expired', expired) end
return {ended, expired}
