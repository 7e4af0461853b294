-- Files a revocation, unless one is pending already. Comes before its session is removed: where it fails,
-- nothing is lost.
local function file(outbox, jobs, ages, guest, reason)
  local now = ARGV[1]
  local job = '{"guestId":"' .. guest .. '","reason":"' .. reason .. '","attempts":0,"enqueuedAt":' .. now .. '}'
  redis.call('HSETNX', jobs, guest, job)
  redis.call('ZADD', outbox, 'NX', now, guest)
  redis.call('ZADD', ages, 'NX', now, guest)
end
