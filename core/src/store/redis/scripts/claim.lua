-- claim: leases due revocations under a claim id; none while Genesys is left alone.
-- KEYS 1 outbox, 2 jobs, 3 ages, 4 cool
-- ARGV 1 now, 2 limit, 3 lease, 4 claim id
-- Returns {set aside, then guest id, attempts so far for each}
-- Repeatable: the same claim at the same moment gets the same jobs.
local now, claim = tonumber(ARGV[1]), ARGV[4]
if (time_of(redis.call('GET', KEYS[4])) or 0) > now then return {'0'} end
even_when_full(KEYS[1])
local ends = int(now + tonumber(ARGV[3]))
local out, aside = {'0'}, 0

local function hand_out(guest, job) out[#out + 1], out[#out + 2] = guest, int(job.attempts) end

for _, guest in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], ends, ends)) do
  local job = job_of(redis.call('HGET', KEYS[2], guest), guest, now)
  if job.claim == claim then hand_out(guest, job) end
end

if #out == 1 then
  for _, guest in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', int(now), 'LIMIT', 0, ARGV[2])) do
    if is_name(guest, 128) then
      local job, readable = job_of(redis.call('HGET', KEYS[2], guest), guest, now)
      if not readable then aside = aside + 1 end
      job.claim = claim
      redis.call('HSET', KEYS[2], guest, cjson.encode(job))
      redis.call('ZADD', KEYS[1], ends, guest)
      redis.call('ZADD', KEYS[3], int(job.enqueuedAt), guest)
      hand_out(guest, job)
    else
      redis.call('ZREM', KEYS[1], guest)
      redis.call('ZREM', KEYS[3], guest)
      redis.call('HDEL', KEYS[2], guest)
      aside = aside + 1
    end
  end
end
out[1] = int(aside)
return out
