GETTERS = ["", "_scalar", "_string", "_number", "_boolean", "_array", "_set", "_inherited_set"]


def text(value):
    return "true" if value is True else "false" if value is False else str(value)


def plain(value):
    if value is None:
        return "nil"
    if isinstance(value, (list, set)):
        return "[" + ",".join(sorted(text(item) for item in value)) + "]"
    return value


def get(data):
    return [plain(getattr(module, "get_option" + getter)(data["name"])) for getter in GETTERS]


def defaults(data):
    return [
        plain(value)
        for value in [
            module.get_option_number("bad", 9),
            module.get_option_boolean("yes", True),
            module.get_option_number("unset", "12"),
            module.get_option_boolean("unset", "true"),
            module.get_option_boolean("unset", False),
            module.get_option("unset", "d"),
            module.get_option_string("unset", 5),
            module.get_option_array("unset", "z"),
            module.get_option_set("unset", ["q"]),
            module.get_option_inherited_set("unset", ["i"]),
            module.get_option("off", True),
        ]
    ]


def inherited(data):
    return [
        plain(module.get_option_inherited_set("inh")),
        plain(module.get_option_set("inh")),
        plain(module.context("*").get_option_set("inh")),
        plain(module.context("two.localhost").get_option_set("inh")),
    ]


def clone(data):
    module.get_option_array("list")[0] = "changed"
    module.get_option("list")[0] = "changed"
    return module.get_option_array("list")[0]


module.hook("get", get)
module.hook("defaults", defaults)
module.hook("inherited", inherited)
module.hook("clone", clone)
module.hook("own", lambda data: module.get_option("who"))
