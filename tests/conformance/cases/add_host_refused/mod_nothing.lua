module:set_global()
function module.add_host(module) return nil, "not a reason" end
