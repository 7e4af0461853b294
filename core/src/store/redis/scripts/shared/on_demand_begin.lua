-- The functions from here to `on_demand_end`, made at the first call: often an issue needs none of them.
local made
local function shared()
if made then return made end
