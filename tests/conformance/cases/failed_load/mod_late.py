module.hook("left", lambda event: "a hook of the failed load")
module.add_item("left", "an item of the failed load")
module.add_timer(1, lambda now: module.log("info", "a timer of the failed load"))


def load():
    raise ValueError("boom in load")


def unload():
    module.log("info", "unload is not called")
