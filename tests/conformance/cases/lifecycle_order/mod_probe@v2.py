module.log("info", "v2 chunk")
module.hook("probe", lambda event: "two")


def restore(state):
    module.log("info", "v2 restore %d", state["n"])
