module.require("nolib")
