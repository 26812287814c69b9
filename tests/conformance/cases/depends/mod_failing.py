module.hook("left", lambda data: "left")
raise ValueError("boom in chunk")
