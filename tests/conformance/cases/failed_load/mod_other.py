module.hook("other", lambda event: "still here")
module.hook("items", lambda event: len(module.get_host_items("left")))
