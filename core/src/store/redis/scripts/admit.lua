-- admit: leave to create a guest for a device.
-- KEYS 1 device, 2 device's creates in flight, 3 due, 4 slide, 5 all creates in flight, 6 cool, 7 stats;
--      then, each only when asked for: idempotency record, device's rate, address's rate; then what `gather` wants
-- ARGV 1 now, 2 device name, 3 flight id, 4 flight deadline, 5 cap, 6 ttl, 7 max age; then, when any of it is
--      asked for: 8 body hash or '', 9 overwrite a finished record (0/1), 10 device's rate limit, 11 address's
--      rate limit (0 = none); then what `gather` wants
-- Returns {answer, detail, set aside}: granted | replay <record> | in_flight | mismatch | cool <until> |
--      rate <until> | busy; just the answer when it is granted and nothing was set aside
-- Repeatable: a flight that is admitted stays admitted, and is counted once.
local now, name, flight, cap = ARGV[1] + 0, ARGV[2], ARGV[3], ARGV[5] + 0
local aside, nth = 0, 8

if #ARGV > 11 then
  -- Needs memory and changes nothing, so that a full Redis refuses the create although gathering needs none.
  redis.call('ZADD', KEYS[3], 'XX', 0, '')
  shared().gather(11, now, tonumber(ARGV[6]), tonumber(ARGV[7]))
end

-- Comes first so that a key of the wrong type refuses the create instead of the commit.
if redis.call('ZCARD', KEYS[1]) > 0 and not time_of(redis.call('ZSCORE', KEYS[3], name)) then
  shared().adopt(KEYS[1], KEYS[3], KEYS[4], name, now, tonumber(ARGV[6]), tonumber(ARGV[7]))
end

local idem
if ARGV[8] and ARGV[8] ~= '' then
  idem, nth = KEYS[nth], nth + 1
  local text = redis.call('GET', idem)
  local record = shared().object(text)
  if record and type(record['until']) == 'number' and type(record.body) == 'string' then
    if record['until'] > now and record.flight ~= flight then
      if record.body ~= ARGV[8] then return {'mismatch', '', aside} end
      if not record.member then return {'in_flight', '', aside} end
      if ARGV[9] ~= '1' then
        redis.call('HINCRBY', KEYS[7], 'replayed', 1)
        return {'replay', text, aside}
      end
    end
  elseif text then
    aside = aside + 1
  end
end

local running, ended, admitted = 0, false, false
if redis.call('ZCARD', KEYS[2]) > 0 then
  local flights = redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES')
  for i = 1, #flights, 2 do
    if tonumber(flights[i + 1]) > now then
      running = running + 1
      if flights[i] == flight then admitted = true end
    else
      ended = true
    end
  end
end

local cool = time_of(redis.call('GET', KEYS[6])) or 0
if cool > now and not admitted then return {'cool', cool, aside} end

-- A fixed window is kept as "<window>:<issues>". A host whose clock is behind counts in the window it finds.
local rates = {}
for i = 10, #ARGV > 7 and 11 or 0 do
  local limit = tonumber(ARGV[i])
  if limit > 0 then
    local key, window, count = KEYS[nth], math.floor(now / 60000), 0
    nth = nth + 1
    local w, c = string.match(redis.call('GET', key) or '', '^(%d+):(%d+)$')
    if w and tonumber(w) >= window and time_of(tonumber(w) * 60000) then window, count = tonumber(w), tonumber(c) end
    if count >= limit and not admitted then
      redis.call('HINCRBY', KEYS[7], 'rateLimited', 1)
      return {'rate', (window + 1) * 60000, aside}
    end
    rates[#rates + 1] = {key, window, count}
  end
end

if running >= cap and not admitted then
  redis.call('HINCRBY', KEYS[7], 'busy', 1)
  return {'busy', '', aside}
end

if not admitted then
  -- The first write of an admit needs memory, so that a full Redis refuses it: nothing is created then.
  redis.call('ZADD', KEYS[2], ARGV[4], flight)
  if ended then redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[1]) end
  local lasts = int(ARGV[4] - now + 60000)
  redis.call('PEXPIRE', KEYS[2], lasts)
  redis.call('ZADD', KEYS[5], ARGV[4], flight)
  for _, rate in ipairs(rates) do
    redis.call('SET', rate[1], int(rate[2]) .. ':' .. int(rate[3] + 1), 'PX', 120000)
  end
  if idem then
    local record = '{"flight":"' .. flight .. '","body":"' .. ARGV[8] .. '","until":' .. ARGV[4] .. '}'
    redis.call('SET', idem, record, 'PX', lasts)
  end
end
return aside == 0 and 'granted' or {'granted', '', aside}
