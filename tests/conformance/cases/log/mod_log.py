def levels(data):
    for level in ["debug", "info", "warn", "error", "loud"]:
        module.log(level, "at %s", level)
    print("printed\t5")
    module.log("info", "short %d", 2)


def formats(data):
    module.log("info", "%s and %d and %s", "text", 3, "true")
    module.log("info", "%d", 2)
    module.log("info", "no args", "extra", 2)
    module.log("info", "two\nlines")
    module.log("info", "%s", "esc\x1b[31m")
    module.log("info", "%d%%", 100)


def status(data):
    seen = [module.get_status()[0]]
    module.set_status("info", "fine")
    seen.append(module.get_status()[0])
    module.set_status("error", "bad")
    seen.append(module.get_status()[0])
    module.set_status("info", "better")
    seen.append(module.get_status()[0])
    module.set_status("info", "forced", True)
    seen.append(module.get_status()[0])
    module.log_status("warn", "n=%d", 3)
    seen.append(module.get_status()[0])
    kind, message, _ = module.get_status()
    seen.append(f"{kind} {message}")
    return seen


def bogus(data):
    module.set_status("bogus", "x")
    return module.get_status()[0]


module.hook("levels", levels)
module.hook("format", formats)
module.hook("status", status)
module.hook("module-status/updated", lambda data: module.log("info", "updated %s", data["name"]))
module.hook("bogus", bogus)
