-- A search page: fetch a page, find fifty links in it, answer with JSON.
local server = require "server"

local page = assert(server.request(server.read("from")))
local parts = {}
for address, title in page.body:gmatch('<a class="hit" href="([^"]*)">([^<]*)</a>') do
	parts[#parts + 1] = ('{"url":"%s","title":"%s"}'):format(address, title)
end
server.write({ ["Content-Type"] = "application/json" }, "[", table.concat(parts, ","), "]")
