-- The guest id of a member of a device's sorted set, or nil when there is none to be had. Members as
-- guestpass writes them need no JSON decoder.
local function guest_of(member)
  local id = string.match(member, '^{"guestId":"([%w_~-][%w._~-]*)","guestToken":"')
  if id and #id <= 128 and string.byte(member, -1) == 125 then return id end
  local m = object(member)
  id = m and m.guestId
  if type(id) ~= 'string' or not is_name(id, 128) then return nil end
  return id
end

-- Every readable session of a device, oldest first, as {guest, score, member}. Members that cannot be
-- read are removed; their number comes second. A score that is no time makes its session the oldest.
local function sessions(key)
  local raw, found, aside = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES'), {}, 0
  for i = 1, #raw, 2 do
    local guest = guest_of(raw[i])
    local score = time_of(raw[i + 1] + 0)
    if guest and score then
      found[#found + 1] = {guest, score, raw[i]}
    elseif guest then
      redis.call('ZADD', key, 0, raw[i])
      table.insert(found, 1, {guest, 0, raw[i]})
    else
      redis.call('ZREM', key, raw[i])
      aside = aside + 1
    end
  end
  return found, aside
end

-- Whether a session has expired: its device has, or it is past its maximum age.
local function is_expired(session, expiry, now, max_age)
  return (expiry and expiry <= now) or (max_age > 0 and session[2] + max_age <= now)
end
