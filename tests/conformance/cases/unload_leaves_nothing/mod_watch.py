module.hook("item-removed/thing", lambda data: module.log("info", "removed %s", data["item"]))
