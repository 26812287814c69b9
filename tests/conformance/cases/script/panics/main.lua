local server = require "server"
local what = server.read("what")
local function safely(f)
	local ok = pcall(f)
	server.write("pcall swallowed the panic ", tostring(ok))
end
if what == "status" then safely(function() panic(404) end)
elseif what == "text" then panic("out of order")
elseif what == "true" then panic(true)
elseif what == "nil" then panic(nil); server.write("went on")
elseif what == "float" then panic(404.5)
elseif what == "range" then panic(99)
elseif what == "list" then panic({ 1, "a" })
elseif what == "after" then server.write({ ["X-Set"] = "1" }, "body"); panic(403)
elseif what == "nested" then
	xpcall(function() panic(410) end, function() return "handled" end)
	server.write("swallowed")
elseif what == "coroutine" then
	local co = coroutine.wrap(function() panic(418) end)
	pcall(co)
	server.write("swallowed")
elseif what == "none" then panic()
end
