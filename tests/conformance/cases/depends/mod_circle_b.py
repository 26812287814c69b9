module.log("info", "chunk")
value = 7
a = module.depends("circle_a")
module.log("info", "got %s", a.module.name)
