module.depends("disabled_one")
