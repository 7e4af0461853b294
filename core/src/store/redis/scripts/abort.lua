-- abort: ends an admitted create that came to no session, and frees its idempotency key.
-- KEYS 1 device, 2 device's creates in flight, 3 due, 4 slide, 5 all creates in flight, 6 outbox, 7 jobs,
--      8 ages, 9 stats; then idempotency record, when asked for; then what `gather` wants
-- ARGV 1 now, 2 device name, 3 flight id, 4 outcome: refused | orphaned | commit_failed | withdrawn,
--      5 guest id or '', 6 ttl, 7 max age, 8 whether there is an idempotency record (0/1); then what `gather` wants
-- Returns 1
-- Repeatable: what is undone stays undone; an orphan is counted by whoever takes its flight out.
local now, name, flight, outcome, guest = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], ARGV[5]
even_when_full(KEYS[2])
gather(8, now, tonumber(ARGV[6]), tonumber(ARGV[7]))
if outcome == 'commit_failed' then file(KEYS[6], KEYS[7], KEYS[8], guest, 'commit_failed') end
redis.call('ZREM', KEYS[2], flight)
local first = redis.call('ZREM', KEYS[5], flight) == 1

if ARGV[8] == '1' then
  local record = object(redis.call('GET', KEYS[10]))
  if record and record.flight == flight then redis.call('DEL', KEYS[10]) end
end

if guest ~= '' then
  local found = sessions(KEYS[1])
  for _, session in ipairs(found) do
    if session[1] == guest then
      redis.call('ZREM', KEYS[1], session[3])
      if #found == 1 then unschedule(KEYS[3], KEYS[4], name) end
    end
  end
end

if outcome == 'orphaned' and first then
  redis.call('HINCRBY', KEYS[9], 'orphaned', 1)
elseif outcome == 'withdrawn' and first then
  redis.call('HINCRBY', KEYS[9], 'revoked', 1)
end
return 1
