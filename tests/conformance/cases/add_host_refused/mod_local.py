module.log("info", "chunk %s", module.host)


def add_host(module):
    module.log("info", "add_host is not called")
