-- Times are Unix milliseconds and always come from the caller: ARGV[1] of each script that needs to know is now. Lua 5.1
-- interns strings, so comparing two of them compares pointers and takes constant time.

-- The end of the year 9999: no time is later.
local LATEST = 253402300799999

-- Device keys outlive their logical expiry by this much, so that a sweep always comes first.
local GRACE = 86400000

-- A whole number as text. Commands take numbers too, but Redis formats those as floating-point ones, which takes
-- longer: what an issue runs gives it text.
local function int(n) return string.format('%d', n) end

-- A stored time as a number, or nil when it cannot be one.
local function time_of(text)
  local at = tonumber(text)
  if at and at >= 0 and at <= LATEST then return at end
  return nil
end

-- Lets the rest of a script write although memory is full, for scripts that finish or free what is there
-- already: of a script's writes Redis refuses only the first. This one needs no memory, and changes nothing
-- as no name is empty.
local function even_when_full(set) redis.call('ZREM', set, '') end
