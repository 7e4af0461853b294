-- Times are Unix milliseconds and always come from the caller: ARGV[1] of each script that needs to know is now. Lua 5.1
-- interns strings, so comparing two of them compares pointers and takes constant time.

-- The end of the year 9999: no time is later.
local LATEST = 253402300799999

-- Device keys outlive their logical expiry by this much, so that a sweep always comes first.
local GRACE = 86400000

-- A whole number as text. Commands take numbers too, but Redis formats those as floating-point ones, which takes
-- longer: what an issue runs gives it text.
local function int(n) return string.format('%d', n) end

-- What an issue runs reads numbers among its arguments by adding 0, as `tonumber` reads a text twice.

-- A stored time as a number, or nil when it cannot be one.
local function time_of(text)
  local at = tonumber(text)
  if at and at >= 0 and at <= LATEST then return at end
  return nil
end
