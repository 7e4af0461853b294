-- The guest id of a member of a device's sorted set, or nil when there is none to be had. Members as
-- guestpass writes them need no JSON decoder.
local function guest_of(member)
  local id = string.match(member, '^{"guestId":"([%w._~-]+)","guestToken":"')
  if not id or string.byte(member, -1) ~= 125 then
    local m = object(member)
    id = m and m.guestId
  end
  if type(id) ~= 'string' or not is_name(id, 128) then return nil end
  return id
end

-- Every readable session of a device, oldest first, as {guest, score, member}. Members that cannot be
-- read are removed; their number comes second. A score that is no time makes its session the oldest.
local function sessions(key)
  local raw, found, aside = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES'), {}, 0
  for i = 1, #raw, 2 do
    local guest = guest_of(raw[i])
    local score = time_of(raw[i + 1])
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
