-- Twenty maps as JSON.  Lua has no library for that: this is what an author would write.
local server = require "server"

local ESCAPED = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n" }

local function encode(value)
	if type(value) == "string" then return '"' .. value:gsub('["\\\n]', ESCAPED) .. '"' end
	if type(value) ~= "table" then return tostring(value) end
	local parts = {}
	if value[1] ~= nil then
		for i, item in ipairs(value) do parts[i] = encode(item) end
		return "[" .. table.concat(parts, ",") .. "]"
	end
	for name, item in pairs(value) do parts[#parts + 1] = encode(name) .. ":" .. encode(item) end
	return "{" .. table.concat(parts, ",") .. "}"
end

local items = {}
for i = 1, 20 do
	items[i] = {
		title = "Item " .. i, playerLabel = "Item " .. i, image = server.base_url .. i .. ".png",
		action = "video:" .. server.base_url .. "play/" .. i, length = i * 60,
	}
end
server.write({ ["Content-Type"] = "application/json" }, encode({ type = "list", items = items }))
