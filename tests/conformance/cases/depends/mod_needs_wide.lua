local wide = module:depends("wide")
module:log("info", "%s %s", wide.module.host, wide.value)
