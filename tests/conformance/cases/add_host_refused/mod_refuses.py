module.set_global()
module.hook("refuses", lambda data: "global hook left")
module.unload = lambda: module.log("info", "unload")


def add_host(module):
    module.hook("refuses", lambda data: "host hook left")
    module.add_item("refuses", "item left")
    return False, "because"
