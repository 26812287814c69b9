module:hook("granted", function() module:add_timer(1, function() module:log("info", "ran") end) end)
