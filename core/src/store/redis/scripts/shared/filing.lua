-- Files a revocation, unless one is pending already. Comes before its session is removed: where it fails,
-- nothing is lost.
local function file(outbox, jobs, ages, guest, reason, now)
  local job = '{"guestId":"' .. guest .. '","reason":"' .. reason .. '","attempts":0,"enqueuedAt":' .. int(now) .. '}'
  redis.call('HSETNX', jobs, guest, job)
  redis.call('ZADD', outbox, 'NX', int(now), guest)
  redis.call('ZADD', ages, 'NX', int(now), guest)
end
