module:hook("left", function() return "a hook of the failed chunk" end)
module:hook_global("left", function() return "a global hook of the failed chunk" end)
module:wrap_event("left", function() return "a wrapper of the failed chunk" end)
module:add_item("left", "an item of the failed chunk")
module:add_timer(1, function() module:log("info", "a timer of the failed chunk") end)
function module.unload() module:log("info", "unload is not called") end
error("boom in chunk")
