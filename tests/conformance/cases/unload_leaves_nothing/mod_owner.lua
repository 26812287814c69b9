module:hook("gone", function() return "hook" end)
module:hook_global("gone", function() return "global hook" end)
module:wrap_event("gone", function(following, event, data) return following(event, data) end)
for i = 1, 3 do module:add_item("thing", "thing" .. i) end
module:add_timer(1, function() module:log("info", "timer ran") end)
function module.unload()
	module:log("info", "unload items=%d", #module:get_host_items("thing"))
	error("unload failed")
end
