module.hook_global("where", lambda data: "global")
module.hook("where", lambda data: "host")


def inside(data):
    data["steps"].append("before")
    data["answer"] = module.fire_event("deeper", data)
    data["steps"].append("after")
    return data


def deeper(data):
    data["steps"].append("deeper")
    return "deep"


module.hook("inside", inside)
module.hook("deeper", deeper)
module.hook(
    "context",
    lambda data: [
        module.fire_event("where"),
        module.context("*").fire_event("where"),
        module.context("*").get_host_type(),
    ],
)
module.hook_tag("urn:x", "foo", lambda origin, stanza, data: [origin, stanza, data["more"]])
module.hook_tag(None, "bar", lambda origin, stanza, data: "bar")


def wrapper(name):
    def around(following, event, data):
        data["steps"].append(f"{name}>{event}")
        result = following(event, data)
        data["steps"].append(f"<{name}")
        return result

    return around


def stopper(following, event, data):
    if data.get("stop"):
        return data
    return following(event, data)


def handler(data):
    data["steps"].append("handler")
    return data


module.wrap_event("wrapped", wrapper("one"))
module.wrap_event("wrapped", wrapper("two"))
module.wrap_event("wrapped", stopper)
module.hook("wrapped", handler)
