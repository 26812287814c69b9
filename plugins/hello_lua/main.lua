-- README: a Media Station X plugin as a script: every request runs this file from the top.
--
--   /hello_lua/             the list of planets, and how often it was asked for
--   /hello_lua/planet/3     one planet; an unknown one is answered with status 404
--   /hello_lua/greet        a greeting for the form field or query parameter "name"
--   /hello_lua/logo.svg     a file: sent as it is, without running anything

local server = require "server"
local pages = require "pages"

local PLANETS = { "Mercury", "Venus", "Earth", "Mars", "Jupiter", "Saturn", "Uranus", "Neptune" }

local function send(json)
	server.write({ ["Content-Type"] = { "application/json; charset=utf-8" } }, json)
end

local function main_page()
	-- The memory of the plugin outlives requests and workers, until the server stops.
	local visits = (server.memory() or 0) + 1
	server.memory(visits)
	local items = {}
	for i, name in ipairs(PLANETS) do
		items[i] = { title = name, action = "content:" .. server.base_url .. "planet/" .. i }
	end
	send(pages.list(("Planets, visit %d"):format(visits), items))
end

local function planet_page(id)
	local name = PLANETS[math.tointeger(tonumber(id))]
	if not name then panic(404) end
	send(pages.list(name, { { title = name, titleFooter = "planet " .. id } }))
end

local function greeting()
	local name = server.read("name")
	if not name or name == "" then
		server.log("nobody to greet; the request came from " .. server.remote_addr)
		server.write(302, server.base_url)
		return
	end
	send(pages.list("Hello, " .. name .. "!", {}))
end

local planet = server.path:match "^planet/(%d+)$"
if server.path == "" then main_page()
elseif planet then planet_page(planet)
elseif server.path == "greet" then greeting()
else panic(404) end
