-- Brings what is stored under a device's older names (its fingerprint hashed with older keys) under its name, so
-- that it is one device to all who know these names, whichever of them they write. The KEYS of a script that may
-- do so end with due, slide, outbox, jobs, ages, stats, then for the name and each older one: device, creates in
-- flight, rate, and the idempotency record if there is one. Its ARGV end, after `fixed` others, with whether there
-- is an idempotency record (0/1), the name, and the older ones. Without them there is nothing to gather.
local function gather(fixed, now, ttl, max_age)
  local names = #ARGV - fixed - 1
  if names < 2 then return end
  local has_record = ARGV[fixed + 1] == '1'
  local width = has_record and 4 or 3
  local first = #KEYS - 6 - names * width
  local g = {}
  for i, what in ipairs({'due', 'slide', 'outbox', 'jobs', 'ages', 'stats'}) do g[what] = KEYS[first + i] end

  -- Where both names have sessions (a host wrote that did not know the other name), they become one device, and
  -- what of either has expired is filed.
  local function gather_sessions(from, older, to, name)
    if redis.call('ZCARD', from) == 0 then return end
    local was = expiry_of(g.due, g.slide, older) or adopt(from, g.due, g.slide, older, now, ttl, max_age)
    if redis.call('ZCARD', to) == 0 then
      redis.call('RENAME', from, to)
      unschedule(g.due, g.slide, older)
      schedule(to, g.due, g.slide, name, was, now, max_age)
      return
    end
    local is = expiry_of(g.due, g.slide, name) or adopt(to, g.due, g.slide, name, now, ttl, max_age)
    local expired = 0
    for _, half in ipairs({{from, was}, {to, is}}) do
      for _, session in ipairs((sessions(half[1]))) do
        if is_expired(session, half[2], now, max_age) then
          file(g.outbox, g.jobs, g.ages, session[1], 'expired')
          redis.call('ZREM', half[1], session[3])
          expired = expired + 1
        elseif half[1] == from then
          redis.call('ZADD', to, session[2], session[3])
        end
      end
    end
    redis.call('DEL', from)
    unschedule(g.due, g.slide, older)
    if expired > 0 then redis.call('HINCRBY', g.stats, 'expired', expired) end
    if redis.call('ZCARD', to) == 0 then
      unschedule(g.due, g.slide, name)
    else
      schedule(to, g.due, g.slide, name, math.max(was, is), now, max_age)
    end
  end

  local function gather_flights(from, to)
    local flights = redis.call('ZRANGE', from, 0, -1, 'WITHSCORES')
    if #flights == 0 then return end
    local lasts = math.max(redis.call('PTTL', from), redis.call('PTTL', to))
    for i = 1, #flights, 2 do redis.call('ZADD', to, flights[i + 1], flights[i]) end
    if lasts > 0 then redis.call('PEXPIRE', to, lasts) end
    redis.call('DEL', from)
  end

  -- A rate's window and how many issues are counted in it.
  local function rate_of(key)
    local window, count = string.match(redis.call('GET', key) or '', '^(%d+):(%d+)$')
    if window and time_of(tonumber(window) * 60000) then return tonumber(window), tonumber(count) end
    return -1, 0
  end

  local function gather_rate(from, to)
    local window, count = rate_of(from)
    if window >= 0 then
      local w, c = rate_of(to)
      if w == window then count = count + c elseif w > window then window, count = w, c end
      redis.call('SET', to, int(window) .. ':' .. int(count), 'PX', 120000)
    end
    redis.call('DEL', from)
  end

  local to = first + 6
  for i = 1, names - 1 do
    local from = to + i * width
    gather_sessions(KEYS[from + 1], ARGV[fixed + 2 + i], KEYS[to + 1], ARGV[fixed + 2])
    gather_flights(KEYS[from + 2], KEYS[to + 2])
    gather_rate(KEYS[from + 3], KEYS[to + 3])
    if has_record and redis.call('EXISTS', KEYS[from + 4]) == 1 then
      redis.call('RENAMENX', KEYS[from + 4], KEYS[to + 4])
    end
  end
end
