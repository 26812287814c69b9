module.log("info", "never")
