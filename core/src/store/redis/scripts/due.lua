-- due: devices of which something has expired, longest overdue first; counts creates whose place ran out.
-- KEYS 1 due, 2 all creates in flight, 3 stats
-- ARGV 1 now, 2 limit
-- Returns {orphaned, set aside, then device name, since when it is due for each}
local orphaned = redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[1])
if orphaned > 0 then redis.call('HINCRBY', KEYS[3], 'orphaned', orphaned) end
local due, out, aside = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'WITHSCORES', 'LIMIT', 0, ARGV[2]), {}, 0
for i = 1, #due, 2 do
  if is_name(due[i], 256) then
    out[#out + 1], out[#out + 2] = due[i], time_of(due[i + 1]) or 0
  else
    redis.call('ZREM', KEYS[1], due[i])
    aside = aside + 1
  end
end
table.insert(out, 1, orphaned)
table.insert(out, 2, aside)
return out
