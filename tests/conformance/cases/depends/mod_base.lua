module:log("info", "chunk")
name, version, settings = "base", 7, { depth = 2 }
function add(a, b) return a + b end
function fails() error("no luck") end
module:hook("raise", function() version = version + 1 end)
function module.unload() module:log("info", "unload") end
