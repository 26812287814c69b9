module:set_global()
value = "wide"
function module.add_host(module) module:log("info", "add_host") end
