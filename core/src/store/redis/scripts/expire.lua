-- expire: drops what has expired on some devices and files a revocation for each session.
-- KEYS 1 due, 2 slide, 3 outbox, 4 jobs, 5 ages, 6 stats, 7… devices
-- ARGV 1 now, 2 ttl, 3 max age, 4… the devices' names, in the order of their keys
-- Returns {sessions expired, set aside}
-- Repeatable: what is dropped is not dropped again.
local now, ttl, max_age = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local expired, aside = 0, 0
even_when_full(KEYS[1])
for i = 7, #KEYS do
  local key, name = KEYS[i], ARGV[i - 3]
  local kind = redis.call('TYPE', key).ok
  if kind ~= 'zset' then
    if kind ~= 'none' then aside = aside + 1 end
    unschedule(KEYS[1], KEYS[2], name)
  else
    local found, unreadable = sessions(key)
    aside = aside + unreadable
    local expiry, kept = expiry_of(KEYS[1], KEYS[2], name), 0
    for _, session in ipairs(found) do
      if is_expired(session, expiry, now, max_age) then
        file(KEYS[3], KEYS[4], KEYS[5], session[1], 'expired')
        redis.call('ZREM', key, session[3])
        expired = expired + 1
      else
        kept = kept + 1
      end
    end
    if kept == 0 then
      unschedule(KEYS[1], KEYS[2], name)
    elseif expiry then
      schedule(key, KEYS[1], KEYS[2], name, expiry, now, max_age)
    else
      adopt(key, KEYS[1], KEYS[2], name, now, ttl, max_age)
    end
  end
end
if expired > 0 then redis.call('HINCRBY', KEYS[6], 'expired', expired) end
return {expired, aside}
