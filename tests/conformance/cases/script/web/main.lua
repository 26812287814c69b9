local server = require "server"
if server.path == "headers" then
	server.write({ ["X-One"] = "1", ["X-Many"] = { "a", "b" } }, 201, "made")
elseif server.path == "redirect" then
	server.write(302, "/elsewhere")
elseif server.path == "request" then
	server.write(server.method, " ", server.path, " ", server.plugin, " ", server.script, " ", server.host, " ",
		server.remote_addr, " ", server.header["X-Given"][1], " ", server.uri, " ", server.base_url)
elseif server.path == "read" then
	local all = server.read(false)
	server.write(server.read("q"), "|", server.read("f"), "|", tostring(server.read("none")), "|", all.f[1], "|", all.f[2],
		"|", tostring(server.read("q", true)))
elseif server.path == "body" then
	server.write(server.read())
elseif server.path == "parts" then
	server.write("a", nil, 404, true, false, 1.5)
elseif server.path == "once" then
	visited = (visited or 0) + 1
	string.visited = (string.visited or 0) + 1
	server.write(tostring(visited), " ", tostring(string.visited))
elseif server.path == "memory" then
	local kept = server.memory() or { count = 0 }
	kept.count = kept.count + 1
	server.memory(kept)
	server.write(kept.count == 1 and "1" or tostring(kept.count))
elseif server.path == "import" then
	local lib = require "lib.greet"
	server.write(lib.greet("Ada"), " ", require("lib.greet") == lib and "same" or "other")
elseif server.path == "import missing" then
	require "lib.absent"
elseif server.path == "import outside" then
	require "../other/main"
elseif server.path == "log" then
	server.log("one", 2)
	server.log_err("bad")
	server.write("logged")
elseif server.path == "fails" then
	server.write("lost")
	error("broken script")
elseif server.path == "empty" then
	local _ = nil
elseif server.path == "status" then
	server.write(204)
elseif server.path == "bad status" then
	server.write(9, "x")
elseif server.path == "uri" then
	server.write(server.encode_uri("a b&c/d"), " ", server.encode_uri("a b&c/d", true), " ", server.decode_uri("a+b%26", false),
		" ", server.encode_uri({ k = { "1", "x y" }, a = { "z" } }))
else
	server.write("main ", server.path)
end
