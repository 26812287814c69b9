module:log("info", "chunk %s", module.host)
module:hook("plain", function() return module:get_host_type() end)
