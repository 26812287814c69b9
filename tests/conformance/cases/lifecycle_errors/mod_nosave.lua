module:hook("alive", function() return true end)
function module.save() error("cannot save") end
