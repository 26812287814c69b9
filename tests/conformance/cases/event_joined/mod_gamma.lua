module:hook("start", function(given)
	local own = function() return "kept" end
	local inner = { "x" }
	local data = { trace = require "util.array" (), count = 1, map = {}, dropped = true, own = own, inner = inner, stop = given.stop }
	local result = module:fire_event("joined", data)
	return { trace = data.trace, count = data.count, map = data.map, dropped = data.dropped,
		own = data.own == own and data.own() or "lost", same = data.inner == inner, result = result and result.count }
end)
