-- A stored revocation with all that is sound in it; the guest's id is all that revoking needs. The second
-- result says whether it could be read.
local function job_of(text, guest, now)
  local stored = object(text) or {}
  local job = {guestId = guest, attempts = 0, enqueuedAt = time_of(stored.enqueuedAt) or now}
  local attempts = tonumber(stored.attempts)
  if attempts and attempts >= 0 and attempts <= 1e9 then job.attempts = math.floor(attempts) end
  for _, field in ipairs({'reason', 'lastError', 'claim'}) do
    if type(stored[field]) == 'string' then job[field] = stored[field] end
  end
  return job, time_of(stored.enqueuedAt) ~= nil
end

-- Whether a stored revocation is leased under a claim. Within a JSON text, quotes stand escaped.
local function is_claimed(text, claim)
  return text and string.find(text, '"claim":"' .. claim .. '"', 1, true) ~= nil
end

-- Runs a command over a list that may be longer than Lua's stack; its replies, if they are lists, as one list.
local function each(command, key, list)
  local all = {}
  for i = 1, #list, 1000 do
    local reply = redis.call(command, key, unpack(list, i, math.min(i + 999, #list)))
    if type(reply) == 'table' then
      for _, item in ipairs(reply) do all[#all + 1] = item end
    end
  end
  return all
end
