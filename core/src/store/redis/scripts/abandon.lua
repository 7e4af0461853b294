-- abandon: gives a revocation up.
-- KEYS 1 outbox, 2 jobs, 3 ages, 4 stuck, 5 stats
-- ARGV 1 guest id
-- Returns 1, or 0 when there is no such revocation
local gone = redis.call('HDEL', KEYS[2], ARGV[1]) + redis.call('HDEL', KEYS[4], ARGV[1])
  + redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
if gone == 0 then return 0 end
redis.call('HINCRBY', KEYS[5], 'abandoned', 1)
return 1
