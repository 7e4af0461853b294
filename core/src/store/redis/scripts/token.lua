-- token: keeps the access token that isolates share, or reads it.
-- KEYS 1 token
-- ARGV 1 the sealed token, or nothing to read, 2 for how long it is kept, in ms
-- Returns the sealed token, or nil
if ARGV[1] ~= '' then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return redis.call('GET', KEYS[1])
