kept = None


def keep(data):
    global kept
    kept = data["sum"]


def caught(data):
    try:
        data["broken"]()
    except RuntimeError as error:
        return [False, "broken failed" in str(error), "Traceback" not in str(error)]


module.hook("close", lambda data: data["session"]["close"]("bye", 3))
module.hook("sum", lambda data: data["sum"](1, 2, 3))
module.hook("keep", keep)
module.hook("later", lambda data: kept(4, 5))
module.hook("caught", caught)
module.hook("broken", lambda data: data["broken"]())
module.hook("same", lambda data: data["one"] is data["two"])
module.hook("pass on", lambda data: module.fire_event("sum", data))
