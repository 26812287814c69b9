local server = require "server"
local settings, what = server.settings, server.path
local function show(value) server.write(value == nil and "nothing" or { value }) end
if what == "plain" then show { settings.compressed, settings.language or "nothing" }
elseif what == "dic" then show(settings.dic())
elseif what == "torr" then show(settings.torr())
elseif what == "torr1" then show(settings.torr("magnet:?x=1&y"))
elseif what == "torr2" then show(settings.torr("a", "T t"))
elseif what == "torr3" then show(settings.torr("a", "", "img/я"))
elseif what == "torr4" then settings.torr(1, 2, 3, 4)
elseif what == "player" then show(settings.player())
elseif what == "links" then
	show { settings.player("http://x/y.mp4"), settings.player("video:http://x/y.mp4"), settings.player("audio:http://x/y.mp3"), settings.player("abc") }
elseif what == "film" then show(settings.player(false))
elseif what == "live" then show(settings.player(true, true))
elseif what == "player_number" then settings.player(5)
elseif what == "ffmpeg" then show(settings.ffmpeg())
elseif what == "ffmpeg_empty" then settings.ffmpeg("")
elseif what == "ffmpeg_number" then settings.ffmpeg("src", 5)
elseif what == "ffmpeg_run" then
	local url, problem = settings.ffmpeg("src", { "-a" }, { "-b" })
	show(url or problem)
elseif what == "props" then
	local missing = {}
	for name in ("proto method host remote_addr header uri version script plugin path base_url settings read write request "
		.. "encode_uri decode_uri parse_url resolve_url memory file log_err log_inf"):gmatch "%S+" do
		if server[name] == nil then missing[#missing + 1] = name end
	end
	server.write("missing:", table.concat(missing), " ", server.proto, " ", server.version:match "^%d%.%d%d%.%d%d%d$" and "M.VV.PPP")
elseif what == "headers" then
	server.header.Foo = { "x" }
	show { server.header["X-Test"], server.header["x-test"] or "nothing", server.header.Foo }
elseif what == "host" then show { server.host, server.header.Host or "nothing" }
elseif what == "log" then
	server.log_inf("info", 1, { 2 }, { a = 1 }, nil, "b", true)
	server.log_err("a\nb\27[31m")
	server.log_inf()
elseif what == "memory" then
	show(server.memory())
	server.memory({ a = { 1, 2 } })
	show(server.memory())
	server.memory().b = "lost"
	show(server.memory())
	server.memory(nil)
	show(server.memory())
elseif what == "memory_two" then server.memory(1, 2)
elseif what == "file_empty" then server.file("")
elseif what == "file_none" then server.file()
elseif what == "file_three" then server.file("a", 1, 2)
elseif what == "file_number" then server.file(5)
elseif what == "file_missing" then show(server.file("nope.txt"))
elseif what == "file_read" then show(server.file("kept.txt"))
elseif what == "request_none" then server.request()
elseif what == "request_three" then server.request("http://h/", "GET", 1)
elseif what == "request_number" then server.request("http://h/", 5)
end
