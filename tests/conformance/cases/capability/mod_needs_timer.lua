module:add_timer(1, function() end)
