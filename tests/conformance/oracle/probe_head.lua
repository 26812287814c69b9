-- Goes in front of sections of Prosody's own probe: the names that they use.
local function w(...) module:log("info", "%s", table.concat({ ... })) end
local function plain(value)
	if type(value) == "string" then return ("%q"):format(value) end
	if type(value) ~= "table" then return tostring(value) end
	local parts = {}
	for i, item in ipairs(value) do parts[i] = plain(item) end
	for key, item in pairs(value) do
		if math.type(key) ~= "integer" then parts[#parts + 1] = ("[%q] = %s"):format(key, plain(item)) end
	end
	return #parts == 0 and "{ }" or "{ " .. table.concat(parts, "; ") .. " }"
end
local function serialize(value) return type(value) == "table" and plain(value) or tostring(value) end
local function first(text) return tostring(text):match "^[^\n]*" end
