def loop(data):
    while True:
        pass


def caught_loop(data):
    while True:
        try:
            while True:
                "x" * 10
        except Exception:
            pass


def memory(data):
    s = "x"
    while True:
        s = s + s


def caught_memory(data):
    found = []
    while True:
        try:
            while True:
                found.append(("x" * (1 << 16)) + str(len(found)))
        except MemoryError:
            pass


def output(data):
    while True:
        try:
            module.log("info", "x" * 1000)
        except Exception:
            pass


def calls(data):
    while True:
        try:
            module.get_option("x")
        except Exception:
            pass


module.hook("loop", loop)
module.hook("caught loop", caught_loop)
module.hook("memory", memory)
module.hook("caught memory", caught_memory)
module.hook("output", output)
module.hook("calls", calls)
module.hook("alive", lambda data: "alive")
