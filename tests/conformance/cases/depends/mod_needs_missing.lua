local ok, problem = pcall(function() return module:depends("not-there") end)
module:log("info", "caught %s", tostring(problem):find("Unable to load required module, mod_not-there", 1, true) and "it" or tostring(problem))
module:depends("not-there")
