-- module:get_option and its typed variants.  A host's value falls back to the global one in the
-- engine; the rules of the variants are Prosody's, odd ones included: a value of the wrong kind
-- is nil, not the default.

local core = ...

local type, tostring, tonumber, ipairs, next = type, tostring, tonumber, ipairs, next

local api = core.module_api

function api:get_option(name, default)
	local value = core.host("option.get", self.host, name)
	if value == nil then return default end
	return value
end

local function scalar_of(self, name, value)
	if type(value) ~= "table" then return value end
	if #value > 1 then
		self:log("error", "Config option '%s' does not take a list, using just the first item", name)
	end
	return value[1]
end

function api:get_option_scalar(name, default)
	return scalar_of(self, name, self:get_option(name, default))
end

function api:get_option_string(name, default)
	local value = self:get_option_scalar(name, default)
	if value == nil then return nil end
	return tostring(value)
end

function api:get_option_number(name, default)
	local value = self:get_option_scalar(name, default)
	local number = tonumber(value)
	if value ~= nil and number == nil then
		self:log("error", "Config option '%s' not understood, expecting a number", name)
	end
	return number
end

local BOOLEANS <const> = { [true] = true, ["true"] = true, [1] = true, [false] = false, ["false"] = false, [0] = false }

function api:get_option_boolean(name, default)
	local value = self:get_option_scalar(name, default)
	if value == nil then return nil end
	local boolean = BOOLEANS[value]
	if boolean == nil then
		self:log("error", "Config option '%s' not understood, expecting true/false", name)
	end
	return boolean
end

-- A path below the plugin's own folder, or below the folder called `parent` ("data", "config").
function api:get_option_path(name, default, parent)
	local value = self:get_option_string(name, default)
	if value == nil or value:sub(1, 1) == "/" then return value end
	return (parent or self:get_directory()) .. "/" .. value
end

local function as_list(value)
	if type(value) ~= "table" then return { value } end
	local list = {}
	for i, item in ipairs(value) do list[i] = item end
	return list
end

function api:get_option_array(name, default)
	local value = self:get_option(name, default)
	if value == nil then return nil end
	return core.library "util.array"(as_list(value))
end

function api:get_option_set(name, default)
	local list = self:get_option_array(name, default)
	if list == nil then return nil end
	return core.library "util.set".new(list)
end

function api:get_option_inherited_set(name, default)
	local everywhere = core.host("option.get", "*", name)
	local here = self.host ~= "*" and core.host("option.own", self.host, name) or nil
	if everywhere == nil and here == nil then
		if default == nil then return nil end
		return core.library "util.set".new(as_list(default))
	end
	local set = core.library "util.set".new(everywhere ~= nil and as_list(everywhere) or {})
	for _, item in next, here ~= nil and as_list(here) or {} do set:add(item) end
	return set
end
