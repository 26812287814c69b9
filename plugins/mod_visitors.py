# README: a shared module.  It counts visits per host: the event "visit" counts one, "visitors"
# tells who came.  The option visitors_keep says how many names it remembers, visitors_banned whom
# it does not let in, and visitors_report (seconds) how often it writes a line to the log.
#
#   engine.load("example.org", "visitors")
#   engine.fire("example.org", "visit", {"name": "Ada"})      -->  1
#   engine.fire("example.org", "visitors")                    -->  {"total": 1, "last": ["Ada"]}

import datetime

module.set_global()

# What is known of each host; a reload keeps it, because `save` returns it.
hosts = {}


def add_host(module):
    host = module.get_host()
    keep = module.get_option_number("visitors_keep", 10)
    interval = module.get_option_number("visitors_report", 3600)
    banned = module.get_option_set("visitors_banned", [])
    seen = hosts.setdefault(host, {"total": 0, "last": [], "since": now()})

    def visit(event):
        name = event.get("name")
        if not isinstance(name, str):
            raise ValueError("visit: the event has no name")
        seen["total"] += 1
        seen["last"] = [name, *seen["last"]][:keep]
        return seen["total"]

    def refuse(event):
        # Higher priorities run first; a result that is not None keeps the others from running.
        return False if event.get("name") in banned else None

    def report(_now):
        module.log("info", "%d visits since %s", seen["total"], seen["since"])
        return interval

    module.hook("visit", visit)
    module.hook("visit", refuse, 100)
    module.hook("visitors", lambda _event: {"total": seen["total"], "last": list(seen["last"])})
    module.add_item("statistic", {"name": "visits", "read": lambda: seen["total"]})
    module.add_timer(interval, report)


def now():
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def save():
    return hosts


def restore(saved):
    # The hosts' own parts are made after this, from what is put here.
    hosts.update(saved)


def unload():
    module.log("info", "%d hosts were counted", len(hosts))
