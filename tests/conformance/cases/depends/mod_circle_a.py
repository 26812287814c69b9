module.log("info", "chunk")
b = module.depends("circle_b")
module.log("info", "got %s value %d", b.module.name, b.value)
