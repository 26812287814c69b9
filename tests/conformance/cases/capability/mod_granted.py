module.hook(
    "granted", lambda data: module.add_timer(1, lambda now: module.log("info", "ran")) and None
)
