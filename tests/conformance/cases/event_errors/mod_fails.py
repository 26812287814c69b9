count = 0


def inner():
    raise ValueError("bang")


def fails(data):

    inner()


module.hook("fails", fails, 1)


def counted(data):
    global count
    count += 1


module.hook("fails", counted)
module.hook("count", lambda data: count)


def caught(data):
    try:
        module.fire_event("fails", {})
    except ValueError as error:
        return [False, "bang" in str(error)]


module.hook("caught", caught)
