module.log("info", "chunk")
base = module.depends("base")
module.log("info", "got %s %s %s", base.module.name, base.module.host, base.name)
module.hook(
    "read",
    lambda data: [
        base.version,
        base.settings["depth"],
        base.add(2, 3),
        getattr(base, "missing", None) is None,
    ],
)
module.hook("fails", lambda data: base.fails())


def caught(data):
    try:
        base.fails()
    except Exception as error:
        return [False, "no luck" in str(error)]


module.hook("caught", caught)


def unload():
    module.log("info", "unload")
