-- renew: slides a device's expiry on the word of who holds one of its live sessions.
-- KEYS 1 device, 2 due, 3 slide; then what `gather` wants
-- ARGV 1 now, 2 device name, 3 guest id, 4 token, 5 SHA-256 of the token, 6 ttl, 7 max age;
--      then what `gather` wants
-- Returns the session's new expiry, or nil when there is no such live session or the token is another's
-- Repeatable: the expiry slides to the same moment.
local now, name, ttl, max_age = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[6]), tonumber(ARGV[7])
even_when_full(KEYS[2])
gather(7, now, ttl, max_age)
local found = sessions(KEYS[1])
if #found == 0 then return nil end
local expiry = expiry_of(KEYS[2], KEYS[3], name) or adopt(KEYS[1], KEYS[2], KEYS[3], name, now, ttl, max_age)
for _, session in ipairs(found) do
  if session[1] == ARGV[3] and not is_expired(session, expiry, now, max_age) and holds(session[3], ARGV[4], ARGV[5]) then
    schedule(KEYS[1], KEYS[2], KEYS[3], name, now + ttl, now, max_age)
    local expires = now + ttl
    if max_age > 0 then expires = math.min(expires, session[2] + max_age) end
    return expires
  end
end
return nil
