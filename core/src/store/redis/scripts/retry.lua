-- retry: makes a revocation due now, with its attempts reset.
-- KEYS 1 outbox, 2 jobs, 3 ages, 4 stuck
-- ARGV 1 now, 2 guest id
-- Returns 1, or 0 when there is no such revocation
local now, guest = tonumber(ARGV[1]), ARGV[2]
local text = redis.call('HGET', KEYS[4], guest) or redis.call('HGET', KEYS[2], guest)
if not text and not redis.call('ZSCORE', KEYS[1], guest) then return 0 end
even_when_full(KEYS[1])
local job = job_of(text, guest, now)
job.attempts, job.claim = 0, nil
redis.call('HSET', KEYS[2], guest, cjson.encode(job))
redis.call('ZADD', KEYS[1], now, guest)
redis.call('ZADD', KEYS[3], job.enqueuedAt, guest)
redis.call('HDEL', KEYS[4], guest)
return 1
