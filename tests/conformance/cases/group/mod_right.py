left = module.depends("left")
shared = module.shared("/*/group/state")


def state(data):
    shared["count"] += 1
    return [shared["count"], shared["run"]()]


def same(data):
    left.table_of_left.append(3)
    return len(left.table_of_left)


module.hook("state", state)
module.hook("same", same)
module.hook("again", lambda data: len(left.table_of_left))
