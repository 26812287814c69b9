module.hook("item-removed/late", lambda data: module.log("info", "removed %s", data["item"]))
