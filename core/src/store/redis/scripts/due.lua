-- due: devices of which something has expired, longest overdue first; counts creates whose place ran out.
-- KEYS 1 due, 2 all creates in flight, 3 stats
-- ARGV 1 now, 2 limit
-- Returns {orphaned, set aside, then device names}
local orphaned = redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[1])
if orphaned > 0 then redis.call('HINCRBY', KEYS[3], 'orphaned', orphaned) end
local out, aside = {}, 0
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])) do
  if is_name(name, 256) then
    out[#out + 1] = name
  else
    redis.call('ZREM', KEYS[1], name)
    aside = aside + 1
  end
end
return {int(orphaned), int(aside), unpack(out)}
