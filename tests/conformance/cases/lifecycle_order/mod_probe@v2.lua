module:log("info", "v2 chunk")
module:hook("probe", function() return "two" end)
function module.restore(state) module:log("info", "v2 restore %d", state.n) end
