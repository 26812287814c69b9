module:log("info", "loaded on %s", module.host)
