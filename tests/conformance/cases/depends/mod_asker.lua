module:log("info", "chunk")
local base = module:depends("base")
module:log("info", "got %s %s %s", base.module.name, base.module.host, base.name)
module:hook("read", function() return { base.version, base.settings.depth, base.add(2, 3), base.missing == nil } end)
module:hook("fails", function() return base.fails() end)
module:hook("caught", function()
	local ok, problem = pcall(base.fails)
	return { ok, tostring(problem):find("no luck", 1, true) ~= nil }
end)
function module.unload() module:log("info", "unload") end
