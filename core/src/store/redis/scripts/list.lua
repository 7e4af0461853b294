-- list: the live sessions of a device, oldest first.
-- KEYS 1 device, 2 due, 3 slide; then what `gather` wants
-- ARGV 1 now, 2 device name, 3 ttl, 4 max age; then what `gather` wants
-- Returns {set aside, then guest id, created at, expires at for each}
local now, name, ttl, max_age = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
if #ARGV > 4 then
  even_when_full(KEYS[2])
  gather(4, now, ttl, max_age)
end
local found, aside = sessions(KEYS[1])
local out = {aside}
if #found == 0 then return out end
local expiry = expiry_of(KEYS[2], KEYS[3], name) or adopt(KEYS[1], KEYS[2], KEYS[3], name, now, ttl, max_age)
for _, session in ipairs(found) do
  if not is_expired(session, expiry, now, max_age) then
    local expires = expiry
    if max_age > 0 then expires = math.min(expires, session[2] + max_age) end
    out[#out + 1], out[#out + 2], out[#out + 3] = session[1], session[2], expires
  end
end
return out
