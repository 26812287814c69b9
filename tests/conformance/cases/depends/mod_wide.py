module.set_global()
value = "wide"


def add_host(module):
    module.log("info", "add_host")
