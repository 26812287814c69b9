def added(data):
    source = data.get("source")
    name = "-"
    if source:
        name = source["name"] if isinstance(source, dict) else source.name
    module.log("info", "+%s %s", data["item"], name)


module.handle_items("thing", added, lambda data: module.log("info", "-%s", data["item"]))
module.handle_items("thing", lambda data: module.log("info", "new only"), lambda data: None, False)
module.hook("host items", lambda data: module.get_host_items("thing"), 1)
module.hook("none", lambda data: len(module.get_host_items("none")))
