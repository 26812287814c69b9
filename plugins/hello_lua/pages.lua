-- A library of this plugin: MSX content pages as JSON text.  `require("pages")` gives the table
-- below; each request runs this file anew.

local pages = {}

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function quoted(text)
	return '"' .. text:gsub('[%c"\\]', function(c)
		return ESCAPES[c] or ("\\u%04x"):format(c:byte())
	end) .. '"'
end

-- A value as JSON: a table with [1] or without any keys is a list, other tables are objects.
function pages.json(value)
	if type(value) == "string" then return quoted(value) end
	if type(value) ~= "table" then return tostring(value) end
	local parts = {}
	if value[1] ~= nil or next(value) == nil then
		for i, item in ipairs(value) do parts[i] = pages.json(item) end
		return "[" .. table.concat(parts, ",") .. "]"
	end
	for key, item in pairs(value) do parts[#parts + 1] = quoted(key) .. ":" .. pages.json(item) end
	table.sort(parts)
	return "{" .. table.concat(parts, ",") .. "}"
end

-- A list page: one button per item.
function pages.list(headline, items)
	return pages.json {
		type = "list";
		headline = headline;
		template = { type = "separate", layout = "0,0,3,2", color = "msx-glass" };
		items = items;
	}
end

return pages
