module:hook("wrapped", function(data) data.steps[#data.steps + 1] = "far"; end, 5)
