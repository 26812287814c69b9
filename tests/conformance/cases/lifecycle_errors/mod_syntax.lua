module:log("info", "never said")
local x = = 1
