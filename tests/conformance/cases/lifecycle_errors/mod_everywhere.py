module.set_global()
module.log("info", "%s", module.get_host_type())
