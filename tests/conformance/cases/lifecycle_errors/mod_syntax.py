module.log("info", "never said")
x = = 1
