-- claim: leases due revocations under a claim id; none while Genesys is left alone.
-- KEYS 1 outbox, 2 jobs, 3 ages, 4 cool
-- ARGV 1 now, 2 limit, 3 lease, 4 claim id
-- Returns {set aside, then guest id, attempts so far for each}
-- Repeatable: the same claim at the same moment gets the same jobs.
local now, claim = tonumber(ARGV[1]), ARGV[4]
if (tonumber(redis.call('GET', KEYS[4]) or 0) or 0) > now then return {'0'} end
local ends = int(now + tonumber(ARGV[3]))
local out, aside = {}, 0

for _, guest in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], ends, ends)) do
  local job = object(redis.call('HGET', KEYS[2], guest))
  if job and job.claim == claim then out[#out + 1], out[#out + 2] = guest, int(tonumber(job.attempts) or 0) end
end

if #out == 0 then
  for _, guest in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', int(now), 'LIMIT', 0, ARGV[2])) do
    if is_name(guest, 128) then
      local job = object(redis.call('HGET', KEYS[2], guest))
      if not job then
        -- The guest's id is all that revoking needs: an unreadable job is written anew.
        job, aside = {guestId = guest, attempts = 0, enqueuedAt = now}, aside + 1
        redis.call('ZADD', KEYS[3], int(now), guest)
      end
      job.claim = claim
      redis.call('HSET', KEYS[2], guest, cjson.encode(job))
      redis.call('ZADD', KEYS[1], ends, guest)
      out[#out + 1], out[#out + 2] = guest, int(tonumber(job.attempts) or 0)
    else
      redis.call('ZREM', KEYS[1], guest)
      redis.call('ZREM', KEYS[3], guest)
      redis.call('HDEL', KEYS[2], guest)
      aside = aside + 1
    end
  end
end
return {int(aside), unpack(out)}
