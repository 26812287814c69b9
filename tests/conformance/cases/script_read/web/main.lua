local server = require "server"
local what, name = server.path:match "^([^/]*)/?(.*)$"
local function show(value) server.write(value == nil and "nothing" or { value }) end
if what == "raw" then server.write(server.read())
elseif what == "name" then show(server.read(name))
elseif what == "form" then show(server.read(name, true))
elseif what == "either" then show(server.read(name, false))
elseif what == "file" then server.write(server.read(name) or "nothing")
elseif what == "all" then show(server.read(false))
elseif what == "allform" then show(server.read(true))
elseif what == "twice" then show { server.read "b" or "nothing", server.read(), server.read(), server.read "b" or "nothing" }
elseif what == "changed" then
	server.header["Content-Type"] = { "application/x-www-form-urlencoded" }
	show(server.read "a")
elseif what == "number" then server.read(5)
elseif what == "nil" then server.read(nil)
elseif what == "three" then server.read("a", true, 1)
end
