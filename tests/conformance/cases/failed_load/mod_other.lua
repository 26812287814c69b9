module:hook("other", function() return "still here" end)
module:hook("items", function() return #module:get_host_items("left") end)
