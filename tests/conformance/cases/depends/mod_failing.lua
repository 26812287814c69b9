module:hook("left", function() return "left" end)
error("boom in chunk")
