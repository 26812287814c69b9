module.set_global()


def add_host(module):
    return None, "not a reason"
