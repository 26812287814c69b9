local a, b = module:require "thing", module:require "thing"
module:log("info", "same %d host %s name %s", a == b and 1 or 0, a.host, a.name)
local plain = module:require "plain"
module:log("info", "%s", plain.x)
a.count()
a.count()
module:log("info", "counts %d %d", a.get(), b.get())
local ok, problem = pcall(function() return module:require "broken" end)
module:log("info", "broken %d %d", ok and 1 or 0, tostring(problem):find("lib broke", 1, true) and 1 or 0)
ok, problem = pcall(function() return module:require "nolib" end)
module:log("info", "missing %s", tostring(problem):match "Failed to load plugin library 'nolib', error: ")
ok, problem = pcall(function() return module:require "../mod_lib/plain" end)
module:log("info", "outside %d", ok and 1 or 0)
