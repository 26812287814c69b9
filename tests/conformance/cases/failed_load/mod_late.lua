module:hook("left", function() return "a hook of the failed load" end)
module:add_item("left", "an item of the failed load")
module:add_timer(1, function() module:log("info", "a timer of the failed load") end)
function module.load() error("boom in load") end
function module.unload() module:log("info", "unload is not called") end
