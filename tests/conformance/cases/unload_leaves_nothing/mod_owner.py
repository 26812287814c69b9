module.hook("gone", lambda event: "hook")
module.hook_global("gone", lambda event: "global hook")
module.wrap_event("gone", lambda following, event, data: following(event, data))
for i in [1, 2, 3]:
    module.add_item("thing", f"thing{i}")
module.add_timer(1, lambda now: module.log("info", "timer ran"))


def unload():
    module.log("info", "unload items=%d", len(module.get_host_items("thing")))
    raise ValueError("unload failed")
