module:log("info", "chunk %s", module.host)
function module.add_host(module) module:log("info", "add_host is not called") end
