try:
    module.depends("not-there")
except RuntimeError as error:
    found = "Unable to load required module, mod_not-there" in str(error)
    module.log("info", "caught %s", "it" if found else error)
module.depends("not-there")
