-- cool_down: prolongs, or just reads, until when Genesys is left alone.
-- KEYS 1 cool
-- ARGV 1 now, 2 until, or 0 to read
-- Returns until when
local current = time_of(redis.call('GET', KEYS[1])) or 0
local now, wanted = tonumber(ARGV[1]), tonumber(ARGV[2])
if wanted > current and wanted > now then
  current = wanted
  -- Deleting needs no memory, and lets what follows write although memory is full.
  redis.call('DEL', KEYS[1])
  redis.call('SET', KEYS[1], current, 'PX', current - now + 60000)
end
return current
