local lost = true
function module.save() error("cannot save") end
function module.restore(state) lost = next(state) == nil; module:log("info", "empty=%d", lost and 1 or 0) end
