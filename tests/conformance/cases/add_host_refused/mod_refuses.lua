module:set_global()
module:hook("refuses", function() return "global hook left" end)
function module.unload() module:log("info", "unload") end
function module.add_host(module)
	module:hook("refuses", function() return "host hook left" end)
	module:add_item("refuses", "item left")
	return false, "because"
end
