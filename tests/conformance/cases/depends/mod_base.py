module.log("info", "chunk")
name = "base"
version = 7
settings = {"depth": 2}


def add(a, b):
    return a + b


def fails():
    raise ValueError("no luck")


def up(data):
    global version
    version += 1


module.hook("raise", up)


def unload():
    module.log("info", "unload")
