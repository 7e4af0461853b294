-- commit: records a created guest; evicts the oldest until the cap holds; slides the device's expiry.
-- KEYS 1 device, 2 device's creates in flight, 3 due, 4 slide, 5 all creates in flight, 6 outbox, 7 jobs,
--      8 ages, 9 stats; then idempotency record, when asked for; then what `gather` wants
-- ARGV 1 now, 2 device name, 3 flight id, 4 guest id, 5 member JSON without its closing brace, 6 cap, 7 ttl,
--      8 max age; then, when any of it is asked for: 9 body hash or '', 10 how long an idempotency record lasts;
--      then what `gather` wants
-- Returns {created at, expires at, evicted, expired, set aside}
-- Repeatable: a guest that has its session, or its revocation, is not committed again.
local now, name, flight, guest = ARGV[1] + 0, ARGV[2], ARGV[3], ARGV[4]
local cap, ttl, max_age = ARGV[6] + 0, ARGV[7] + 0, ARGV[8] + 0
-- Comes first: it needs no memory, so that all the rest may be written although memory is full.
redis.call('ZREM', KEYS[2], flight)
if #ARGV > 10 then
  shared().gather(10, now, ttl, max_age)
  redis.call('ZREM', KEYS[2], flight)
end
local found, aside = {}, 0
if redis.call('ZCARD', KEYS[1]) > 0 then found, aside = shared().sessions(KEYS[1]) end

local function expires_at(created, expiry)
  if max_age > 0 then return math.min(expiry, created + max_age) end
  return expiry
end

local before
for i = 1, #found do
  local session = found[i]
  if session[1] == guest then
    local m = shared().object(session[3])
    local expires = expires_at(session[2], shared().expiry_of(KEYS[3], KEYS[4], name) or now + ttl)
    before = {session[2], expires, tonumber(m and m.evicted) or 0, 0, aside}
  end
end
if not before and redis.call('HEXISTS', KEYS[7], guest) == 1 then
  before = {now, expires_at(now, now + ttl), 0, 0, aside}
end
if before then
  redis.call('ZREM', KEYS[5], flight)
  return before
end

-- Whatever is of a wrong type shows before anything is evicted. Nothing of a device expires before it is due.
local expiry
if #found > 0 then
  expiry = time_of(redis.call('ZSCORE', KEYS[3], name))
  if max_age > 0 or not expiry or expiry <= now then expiry = shared().expiry_of(KEYS[3], KEYS[4], name) end
  if max_age == 0 then redis.call('ZREM', KEYS[4], name) end
end

local expired, kept, created = 0, {}, now
for i = 1, #found do
  local session = found[i]
  created = math.min(math.max(created, session[2] + 1), LATEST)
  if shared().is_expired(session, expiry, now, max_age) then
    shared().file(KEYS[6], KEYS[7], KEYS[8], session[1], 'expired')
    redis.call('ZREM', KEYS[1], session[3])
    expired = expired + 1
  else
    kept[#kept + 1] = session
  end
end

local evicted = math.max(#kept + 1 - cap, 0)
local oldest = kept[evicted + 1]
local slides_to = int(now + ttl)
local due = max_age > 0 and int(expires_at(oldest and oldest[2] or created, now + ttl)) or slides_to

-- A device is known to be due before it has a session.
redis.call('ZADD', KEYS[3], due, name)
if max_age > 0 then redis.call('ZADD', KEYS[4], slides_to, name) end
for i = 1, evicted do
  shared().file(KEYS[6], KEYS[7], KEYS[8], kept[i][1], 'evicted')
  redis.call('ZREM', KEYS[1], kept[i][3])
end
local member = ARGV[5] .. (evicted > 0 and ',"evicted":' .. int(evicted) or '') .. '}'
redis.call('ZADD', KEYS[1], created == now and ARGV[1] or int(created), member)
redis.call('ZREM', KEYS[5], flight)
redis.call('PEXPIRE', KEYS[1], int(ttl + GRACE))
local expires = expires_at(created, now + ttl)

if ARGV[9] and ARGV[9] ~= '' then
  local record = shared().object(redis.call('GET', KEYS[10]))
  if not record or record.flight == flight or type(record['until']) ~= 'number' or record['until'] <= now then
    redis.call('SET', KEYS[10], '{"flight":"' .. flight .. '","body":"' .. ARGV[9] .. '","until":'
      .. int(now + tonumber(ARGV[10])) .. ',"createdAt":' .. int(created) .. ',"expiresAt":' .. int(expires)
      .. ',"evicted":' .. int(evicted) .. ',"member":' .. member .. '}', 'PX', ARGV[10])
  end
end

redis.call('HINCRBY', KEYS[9], 'issued', '1')
if evicted > 0 then redis.call('HINCRBY', KEYS[9], 'evicted', int(evicted)) end
if expired > 0 then redis.call('HINCRBY', KEYS[9], 'expired', int(expired)) end
return {created, expires, evicted, expired, aside}
