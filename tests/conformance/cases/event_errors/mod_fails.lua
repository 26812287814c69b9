local count = 0


local function inner()
	error("bang")
end


module:hook("fails", function()
	inner()
end, 1)
module:hook("fails", function() count = count + 1 end)
module:hook("count", function() return count end)
module:hook("caught", function()
	local ok, problem = pcall(module.fire_event, module, "fails", {})
	return { ok, problem:match "bang" ~= nil }
end)
