module.log("info", "chunk %s", module.host)
module.hook("plain", lambda data: module.get_host_type())
