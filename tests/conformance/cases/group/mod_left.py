shared = module.shared("/*/group/state")
shared["count"] = shared.get("count", 0) + 1
shared["run"] = lambda: "called across"
module.hook("own", lambda data: module.shared("state") is module.shared("/localhost/left/state"))


def forms(data):
    a = module.shared("a")
    return [
        a is module.shared(path)
        for path in ["left/a", "localhost/left/a", "/localhost/left/a", "/*/left/a"]
    ]


def several(data):
    a, b = module.shared("a", "b")
    a["x"] = 1
    return [a["x"], "x" not in b]


module.hook("forms", forms)
module.hook("several", several)
table_of_left = [1, 2]
