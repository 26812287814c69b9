version = 1


def check(name):
    return name == "ada"


module.provides("auth")
module.provides("net", {"name": "given", "port": 5})
module.provides("http", {"port": 8})
