module:hook("alone", function() return module:shared("/*/group/state").count == nil end)
