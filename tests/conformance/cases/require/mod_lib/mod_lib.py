a, b = module.require("thing"), module.require("thing")
module.log("info", "same %d host %s name %s", 1 if a is b else 0, a.host, a.name)
plain = module.require("plain")
module.log("info", "%s", plain.x)
a.count()
a.count()
module.log("info", "counts %d %d", a.get(), b.get())
try:
    module.require("broken")
except ValueError as error:
    module.log("info", "broken %d %d", 0, 1 if "lib broke" in str(error) else 0)
try:
    module.require("nolib")
except ImportError as error:
    text = "Failed to load plugin library 'nolib', error: "
    module.log("info", "missing %s", text if text in str(error) else str(error))
try:
    module.require("../mod_lib/plain")
    module.log("info", "outside 1")
except ImportError:
    module.log("info", "outside 0")
