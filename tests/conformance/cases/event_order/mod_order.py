seen = []


def note(name, result=None):
    def handler(data):
        seen.append(name)
        return result

    return handler


a, b, c, d = note("a"), note("b", False), note("c"), note("d")
module.hook("order", a, 5)
module.hook("order", b, 1)
module.hook("order", c, -1)
module.hook("order", d, 10)
module.hook("equal", note("first"))
module.hook("equal", note("second"), 0)
module.hook("equal", note("third"))
module.hook("equal", note("half"), 0.5)
module.hook("equal", note("below"), -0.5)
module.hook("twice", a)
module.hook("twice", a)


def change(data):
    module.unhook("order", b)
    module.hook("order", a, -5)


def once(data):
    seen.append("once")
    module.unhook("mutate", once)


def adder(data):
    seen.append("adder")
    module.hook("mutate", note("late"), -1)
    module.unhook("mutate", c)


def take(data):
    was = ",".join(seen)
    seen.clear()
    return was


module.hook("change", change)
module.hook("mutate", once, 1)
module.hook("mutate", adder, 0.5)
module.hook("mutate", c)
module.hook("seen", take)
module.hook("zero", lambda data: 0, 2)
module.hook("zero", lambda data: "not reached", 1)
module.hook("empty", lambda data: "", 2)
module.hook("empty", lambda data: "not reached", 1)
