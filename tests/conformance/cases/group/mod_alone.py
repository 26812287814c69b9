module.hook("alone", lambda data: "count" not in module.shared("/*/group/state"))
