module:hook("fails", function() module:log("info", "never reached") end, 0)
module:hook("outer", function()
	local ok, problem = pcall(function() return module:fire_event("fails", {}) end)
	return { ok, tostring(problem):match "bang" ~= nil }
end)
