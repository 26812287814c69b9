local GETTERS = { "", "_scalar", "_string", "_number", "_boolean", "_array", "_set", "_inherited_set" }
local function plain(value)
	if value == nil then return "nil" end
	if type(value) ~= "table" then return value end
	local list = {}
	for _, item in ipairs(value) do list[#list + 1] = tostring(item) end
	if value.items then for item in value:items() do list[#list + 1] = tostring(item) end end
	table.sort(list)
	return "[" .. table.concat(list, ",") .. "]"
end
module:hook("get", function(data)
	local found = {}
	for _, getter in ipairs(GETTERS) do found[#found + 1] = plain(module["get_option" .. getter](module, data.name)) end
	return found
end)
module:hook("defaults", function()
	return { plain(module:get_option_number("bad", 9)), plain(module:get_option_boolean("yes", true)),
		plain(module:get_option_number("unset", "12")), plain(module:get_option_boolean("unset", "true")),
		plain(module:get_option_boolean("unset", false)), plain(module:get_option("unset", "d")),
		plain(module:get_option_string("unset", 5)), plain(module:get_option_array("unset", "z")),
		plain(module:get_option_set("unset", { "q" })), plain(module:get_option_inherited_set("unset", { "i" })),
		plain(module:get_option("off", true)) }
end)
module:hook("inherited", function()
	return { plain(module:get_option_inherited_set "inh"), plain(module:get_option_set "inh"),
		plain(module:context("*"):get_option_set "inh"), plain(module:context("two.localhost"):get_option_set "inh") }
end)
module:hook("clone", function()
	module:get_option_array("list")[1] = "changed"
	module:get_option("list")[1] = "changed"
	return module:get_option_array("list")[1]
end)
module:hook("own", function() return module:get_option "who" end)
