module:hook_global("where", function() return "global" end)
module:hook("where", function() return "host" end)
module:hook("inside", function(data)
	data.steps[#data.steps + 1] = "before"
	data.answer = module:fire_event("deeper", data)
	data.steps[#data.steps + 1] = "after"
	return data
end)
module:hook("deeper", function(data) data.steps[#data.steps + 1] = "deeper"; return "deep" end)
module:hook("context", function()
	return { module:fire_event("where"), (module:context("*"):fire_event("where")), module:context("*"):get_host_type() }
end)
module:hook_tag("urn:x", "foo", function(origin, stanza, data) return { origin, stanza, data.more } end)
module:hook_tag("bar", function(origin, stanza) return "bar" end)
local wrap = {}
local function wrapper(name)
	return function(following, event, data)
		data.steps[#data.steps + 1] = name .. ">" .. event
		local result = following(event, data)
		data.steps[#data.steps + 1] = "<" .. name
		return result
	end
end
module:wrap_event("wrapped", wrapper "one")
module:wrap_event("wrapped", wrapper "two")
module:wrap_event("wrapped", function(following, event, data)
	if data.stop then return data end
	return following(event, data)
end)
module:hook("wrapped", function(data) data.steps[#data.steps + 1] = "handler"; return data end)
