-- revocations: revocations of one state; pending ones soonest attempt first.
-- KEYS 1 outbox, 2 jobs, 3 stuck
-- ARGV 1 state: pending | stuck, 2 limit
-- Returns guest id, next attempt or '', job JSON or '' for each
local out = {}
if ARGV[1] == 'stuck' then
  local all = redis.call('HGETALL', KEYS[3])
  for i = 1, #all, 2 do
    out[#out + 1], out[#out + 2], out[#out + 3] = all[i], '', all[i + 1]
  end
  return out
end
local due = redis.call('ZRANGE', KEYS[1], 0, tonumber(ARGV[2]) - 1, 'WITHSCORES')
for i = 1, #due, 2 do
  out[#out + 1], out[#out + 2], out[#out + 3] = due[i], tonumber(due[i + 1]), redis.call('HGET', KEYS[2], due[i]) or ''
end
return out
