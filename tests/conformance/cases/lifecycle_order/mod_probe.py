def say(where):
    saved = module.saved_state["n"] if module.saved_state else 0
    reloading = 1 if module.reloading else 0
    module.log("info", "%s %s reloading=%d saved=%d", where, module.host, reloading, saved)


say("chunk")
module.hook("probe", lambda event: "one")


def load():
    say("load")


def save():
    say("save")
    return {"n": 41}


def restore(state):
    say(f"restore {state['n']}")


def unload():
    say("unload")
