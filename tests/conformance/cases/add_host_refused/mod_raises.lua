module:set_global()
function module.add_host(module)
	module:hook("raises", function() return "left" end)
	error("boom in add_host")
end
