module.set_global()


def watch(where):
    def one(event):
        def seen(data):
            where.log("info", "%s %s@%s", event, data["module"], data["host"])

        where.hook(event, seen)

    for event in ["module-loaded", "module-unloaded", "module-reloaded"]:
        one(event)


watch(module)
module.add_host = watch
