module.log("info", "lib runs")
n = 0
host = module.host
name = module.name


def count():
    global n
    n += 1


def get():
    return n
