module:log("info", "lib runs")
local n = 0
return { host = module.host, name = module.name, count = function() n = n + 1 end, get = function() return n end }
