module:log("info", "never")
