module.depends("failing")
