-- When a device expires, or nil when nothing says so. `slide` has it where sessions have a maximum age; what is
-- left there of a device that was emptied from outside is earlier than what is due.
local function expiry_of(due, slide, name)
  local next, sliding = time_of(redis.call('ZSCORE', due, name)), time_of(redis.call('ZSCORE', slide, name))
  if next and sliding then return math.max(next, sliding) end
  return next or sliding
end

-- Notes when a device expires, and the next moment at which something of it does.
local function schedule(key, due, slide, name, expiry, now, max_age)
  local at = expiry
  if max_age > 0 then
    local oldest = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
    at = math.min(at, (time_of(oldest[2]) or 0) + max_age)
  end
  redis.call('ZADD', due, at, name)
  if max_age > 0 then
    redis.call('ZADD', slide, expiry, name)
  else
    redis.call('ZREM', slide, name)
  end
  redis.call('PEXPIRE', key, math.max(expiry - now, 0) + GRACE)
end

-- Forgets when a device expires: it has no sessions.
local function unschedule(due, slide, name)
  redis.call('ZREM', due, name)
  redis.call('ZREM', slide, name)
end

-- Gives a device found without an expiry one: the key's own, or a whole TTL from now.
local function adopt(key, due, slide, name, now, ttl, max_age)
  local left = redis.call('PTTL', key)
  local expiry = now + ttl
  if left >= 0 and left < ttl then expiry = now + left end
  schedule(key, due, slide, name, expiry, now, max_age)
  return expiry
end
