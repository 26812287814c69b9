module.set_global()
whole = module
whole.log("info", "chunk %s", module.host)


def load():
    whole.log("info", "load")


def save():
    whole.log("info", "save")
    return {"n": 1}


def restore(state):
    whole.log("info", "restore %d", state["n"])


def unload():
    whole.log("info", "unload")


def outer():
    return module.host


def add_host(module):
    again = 1 if module.reloading else 0
    is_global = 1 if getattr(module, "global") else 0
    module.log(
        "info",
        "add_host global=%d name=%s outer=%s reloading=%d",
        is_global,
        module.name,
        outer(),
        again,
    )
    module.hook("greet", lambda data: f"hello {data['name']} from {module.host}")
    module.add_item("part", module.host)

    def host_save():
        module.log("info", "host save")
        return {"at": module.host}

    module.save = host_save
    module.restore = lambda state: module.log("info", "host restore %s", state["at"])
    module.unload = lambda: module.log("info", "host unload")
