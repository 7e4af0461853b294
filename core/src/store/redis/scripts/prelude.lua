-- Shared by all scripts: how members are read, how revocations are filed, when a device expires.
-- Times are Unix milliseconds and always come from the caller. Lua 5.1 interns strings, so comparing
-- two of them compares pointers and takes constant time.

-- Device keys outlive their logical expiry by this much, so that a sweep always comes first.
local GRACE = 86400000

-- The end of the year 9999: no time is later.
local LATEST = 253402300799999

-- A number without exponent or fraction.
local function int(n) return string.format('%.0f', n) end

-- A stored time as a number, or nil when it cannot be one.
local function time_of(text)
  local at = tonumber(text)
  if at and at >= 0 and at <= LATEST then return at end
  return nil
end

-- Lets the rest of a script write although memory is full, for scripts that finish or free what is there
-- already: of a script's writes Redis refuses only the first. This one needs no memory, and changes nothing
-- as no name is empty.
local function even_when_full(set) redis.call('ZREM', set, '') end

-- A name that guestpass could have written: a guest id or a device.
local function is_name(s, longest)
  return #s <= longest and s ~= '.' and s ~= '..' and string.match(s, '^[%w._~-]+$') ~= nil
end

-- Decodes a JSON object, or returns nil.
local function object(text)
  if not text then return nil end
  local ok, value = pcall(cjson.decode, text)
  if ok and type(value) == 'table' then return value end
  return nil
end

-- The guest id of a member of a device's sorted set, or nil when there is none to be had. Members as
-- guestpass writes them need no JSON decoder.
local function guest_of(member)
  local id = string.match(member, '^{"guestId":"([%w._~-]+)","guestToken":"')
  if not id or string.byte(member, -1) ~= 125 then
    local m = object(member)
    id = m and m.guestId
  end
  if type(id) ~= 'string' or not is_name(id, 128) then return nil end
  return id
end

-- Every readable session of a device, oldest first, as {guest, score, member}. Members that cannot be
-- read are removed; their number comes second. A score that is no time makes its session the oldest.
local function sessions(key)
  local raw, found, aside = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES'), {}, 0
  for i = 1, #raw, 2 do
    local guest = guest_of(raw[i])
    local score = time_of(raw[i + 1])
    if guest and score then
      found[#found + 1] = {guest, score, raw[i]}
    elseif guest then
      redis.call('ZADD', key, 0, raw[i])
      table.insert(found, 1, {guest, 0, raw[i]})
    else
      redis.call('ZREM', key, raw[i])
      aside = aside + 1
    end
  end
  return found, aside
end

-- Files a revocation, unless one is pending already. Comes before its session is removed: where it fails,
-- nothing is lost.
local function file(outbox, jobs, ages, guest, reason, now)
  local job = '{"guestId":"' .. guest .. '","reason":"' .. reason .. '","attempts":0,"enqueuedAt":' .. int(now) .. '}'
  redis.call('HSETNX', jobs, guest, job)
  redis.call('ZADD', outbox, 'NX', int(now), guest)
  redis.call('ZADD', ages, 'NX', int(now), guest)
end

-- A stored revocation with all that is sound in it; the guest's id is all that revoking needs. The second
-- result says whether it could be read.
local function job_of(text, guest, now)
  local stored = object(text) or {}
  local job = {guestId = guest, attempts = 0, enqueuedAt = time_of(stored.enqueuedAt) or now}
  local attempts = tonumber(stored.attempts)
  if attempts and attempts >= 0 and attempts <= 1e9 then job.attempts = math.floor(attempts) end
  for _, field in ipairs({'reason', 'lastError', 'claim'}) do
    if type(stored[field]) == 'string' then job[field] = stored[field] end
  end
  return job, time_of(stored.enqueuedAt) ~= nil
end

-- When a device expires, or nil when nothing says so. `slide` has it where sessions have a maximum age.
local function expiry_of(due, slide, name)
  local sliding, next = redis.call('ZSCORE', slide, name), redis.call('ZSCORE', due, name)
  return time_of(sliding) or time_of(next)
end

-- Notes when a device expires, and the next moment at which something of it does.
local function schedule(key, due, slide, name, expiry, now, max_age)
  local at = expiry
  if max_age > 0 then
    local oldest = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
    at = math.min(at, (time_of(oldest[2]) or 0) + max_age)
  end
  redis.call('ZADD', due, int(at), name)
  if max_age > 0 then
    redis.call('ZADD', slide, int(expiry), name)
  else
    redis.call('ZREM', slide, name)
  end
  redis.call('PEXPIRE', key, int(math.max(expiry - now, 0) + GRACE))
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

-- Whether a session has expired: its device has, or it is past its maximum age.
local function is_expired(session, expiry, now, max_age)
  return (expiry and expiry <= now) or (max_age > 0 and session[2] + max_age <= now)
end

-- Whether a token is a member's: by its hash where the member's is sealed.
local function holds(member, token, sha256)
  local m = object(member)
  if not m then return false end
  if m.tokenSha256 then return m.tokenSha256 == sha256 end
  return m.guestToken == token
end

