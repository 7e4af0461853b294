-- A name that guestpass could have written: a guest id or a device.
local function is_name(s, longest)
  return #s <= longest and s ~= '.' and s ~= '..' and string.match(s, '^[%w._~-]+$') ~= nil
end
