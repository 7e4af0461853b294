-- stats: counters and gauges.
-- KEYS 1 due, 2 all creates in flight, 3 outbox, 4 ages, 5 stuck, 6 stats, 7 cool
-- ARGV 1 now
-- Returns {devices, in flight, pending, stuck, oldest pending's enqueue time or 0, cool until, then name, value
--      of each counter}
local oldest = redis.call('ZRANGE', KEYS[4], 0, 0, 'WITHSCORES')
return {
  redis.call('ZCARD', KEYS[1]),
  redis.call('ZCOUNT', KEYS[2], '(' .. ARGV[1], '+inf'),
  redis.call('ZCARD', KEYS[3]),
  redis.call('HLEN', KEYS[5]),
  time_of(oldest[2]) or 0,
  time_of(redis.call('GET', KEYS[7])) or 0,
  unpack(redis.call('HGETALL', KEYS[6]))
}
