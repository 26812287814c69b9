module.set_global()


def add_host(module):
    module.hook("raises", lambda data: "left")
    raise ValueError("boom in add_host")
