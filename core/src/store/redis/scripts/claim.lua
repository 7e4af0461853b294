-- claim: leases due revocations under a claim id; none while Genesys is left alone.
-- KEYS 1 outbox, 2 jobs, 3 ages, 4 cool
-- ARGV 1 now, 2 limit, 3 lease, 4 claim id
-- Returns {set aside, then guest id, attempts so far for each}
-- Repeatable: the same claim at the same moment gets the same jobs.
local now, claim = ARGV[1] + 0, ARGV[4]
if (time_of(redis.call('GET', KEYS[4])) or 0) > now then return {0} end
even_when_full(KEYS[1])
local ends = int(now + ARGV[3])
local out, aside = {0}, 0

local function hand_out(guest, attempts) out[#out + 1], out[#out + 2] = guest, attempts end

local leased = redis.call('ZRANGEBYSCORE', KEYS[1], ends, ends)
for i, text in ipairs(each('HMGET', KEYS[2], leased)) do
  if is_claimed(text, claim) then hand_out(leased[i], job_of(text, leased[i], now).attempts) end
end
if #out > 1 then return out end

local due, jobs, leases = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2]), {}, {}
for i, text in ipairs(each('HMGET', KEYS[2], due)) do
  local guest = due[i]
  if is_name(guest, 128) then
    -- A job that was never claimed before is in the form in which it was filed, which needs no JSON decoder.
    local id, attempts = string.match(text or '', '^{"guestId":"([^"]+)","reason":"[%l_]+","attempts":(%d),"enqueuedAt":%d+}$')
    if id == guest then
      text = string.sub(text, 1, -2) .. ',"claim":"' .. claim .. '"}'
    else
      local job, is_readable = job_of(text, guest, now)
      if not is_readable then aside = aside + 1 end
      job.claim = claim
      text, attempts = cjson.encode(job), job.attempts
      redis.call('ZADD', KEYS[3], job.enqueuedAt, guest)
    end
    jobs[#jobs + 1], jobs[#jobs + 2] = guest, text
    leases[#leases + 1], leases[#leases + 2] = ends, guest
    hand_out(guest, attempts)
  else
    redis.call('ZREM', KEYS[1], guest)
    redis.call('ZREM', KEYS[3], guest)
    redis.call('HDEL', KEYS[2], guest)
    aside = aside + 1
  end
end
each('HSET', KEYS[2], jobs)
each('ZADD', KEYS[1], leases)
out[1] = aside
return out
