module.hook("fails", lambda data: module.log("info", "never reached"), 0)


def outer(data):
    try:
        module.fire_event("fails", {})
    except RuntimeError as error:
        return [False, "bang" in str(error)]


module.hook("outer", outer)
