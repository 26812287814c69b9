local server = require "server"
local function q(name) return server.read(name) end
local function said(found, problem)
	if found == nil then return "error: " .. problem end
	return found
end
local what = server.path
if what == "encode" then server.write(server.encode_uri(q "a"))
elseif what == "encode_path" then server.write(server.encode_uri(q "a", true))
elseif what == "encode_map" then server.write(server.encode_uri { b = "x y", a = { "1", "2&" }, c = true, d = { 5 } }, " ", server.encode_uri {})
elseif what == "encode_number" then server.encode_uri(5)
elseif what == "encode_nothing" then server.encode_uri()
elseif what == "decode" then server.write(said(server.decode_uri(q "a")))
elseif what == "decode_path" then server.write(said(server.decode_uri(q "a", true)))
elseif what == "decode_number" then server.decode_uri(5)
elseif what == "parse" then server.write({ said(server.parse_url(q "a")) })
elseif what == "own" then server.write({ server.parse_url() })
elseif what == "parse_two" then server.parse_url("a", "b")
elseif what == "parse_number" then server.parse_url(5)
elseif what == "resolve" then server.write(said(server.resolve_url(q "a", q "b")))
elseif what == "resolve_one" then server.write(said(server.resolve_url(q "a")))
elseif what == "resolve_number" then server.resolve_url(5)
end
