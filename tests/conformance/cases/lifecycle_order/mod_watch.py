def watch(event):
    def seen(data):
        module.log("info", "%s %s@%s", event, data["module"], data["host"])

    module.hook(event, seen)


for event in ["module-loaded", "module-unloaded", "module-reloaded"]:
    watch(event)
