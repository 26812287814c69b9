-- What reaches beyond a script: `request`, `file` and `memory` of the module `server`.
--
-- The engine does it, under the plugin's grants.  What it refuses or cannot do is an error value,
-- which ServeMSX's scripts know to test for; a refusal is in the log besides, for the operator.

local T = ...

local type, ipairs, next, mathtype = type, ipairs, next, math.type
local find, gsub, format, byte = string.find, string.gsub, string.format, string.byte
local gmatch, lower, match, upper = string.gmatch, string.lower, string.match, string.upper
local concat, utf8len, pcall = table.concat, utf8.len, pcall
local text_or_empty, array, fail = T.text_or_empty, T.array, T.fail
local wrong, bad = T.wrong_arguments, T.bad_argument

local MAP <const>, IMMUTABLE_MAP <const>, BYTES <const> = T.MAP, T.IMMUTABLE_MAP, T.BYTES

-- The engine's answer, or an error value; `worded` makes its text of the engine's.
local function asked(plugin, name, n, worded, ...)
	local ok, answer, capability = T.try_host(name, n, ...)
	if ok then return answer end
	if capability then
		T.log(plugin, "error", answer)
		return T.error(answer)
	end
	return T.error(worded and worded(answer) or answer)
end

---------------------------------------------------------------------------------- request

-- Pages answer by who asks; scripts of ServeMSX were written against what Go's client is told.
local USER_AGENT <const> = "Go-http-client/1.1"

local function is_map(v) return type(v) == "table" and (v[1] == MAP or v[1] == IMMUTABLE_MAP) end

-- A map of arrays of strings.
local function fields(map)
	return T.map_of_lists(T.lists_of_map(map))
end

local function body_of(value)
	if is_map(value) then return fields(value) end
	if type(value) == "table" and value[1] == BYTES then return value end
	return text_or_empty(value)
end

local function cookies_of(value)
	local list = {}
	if not T.is_array(value) then return nil end
	for i = 0, value[4] - 1 do
		local cookie = T.array_get(value, i)
		if is_map(cookie) then
			local name, content = T.map_get(cookie, "name"), T.map_get(cookie, "value")
			-- ServeMSX dies of it.
			if name == nil or content == nil then fail "request: a cookie has a name and a value" end
			local map = T.map()
			T.map_set(map, "name", text_or_empty(name))
			T.map_set(map, "value", text_or_empty(content))
			if text_or_empty(name) ~= "" then list[#list + 1] = map end
		end
	end
	return array(list, #list)
end

local function text_option(value) return type(value) == "string" and value ~= "" and value or nil end

-- How each option is passed on; nil leaves it out.
local OPTIONS <const> = {
	body = body_of, cookies = cookies_of, user = text_option, pass = text_option,
	method = function(v)
		v = upper(text_or_empty(v))
		return v ~= "" and v or "GET"
	end,
	query = function(v)
		if is_map(v) then return fields(v) end
		v = text_or_empty(v)
		return v ~= "" and v or nil
	end,
	follow = function(v) return T.truthy(v) end,
	timeout = function(v) return mathtype(v) == "integer" and v > 0 and v or nil end,
}

local function has_agent(headers)
	for _, name in ipairs(T.map_keys(headers)) do
		if lower(name) == "user-agent" then return true end
	end
	return false
end

local function options_of(given)
	local options = T.map()
	if type(given) == "string" then T.map_set(options, "method", given ~= "" and given or "GET")
	elseif type(given) == "table" and given[1] == BYTES then T.map_set(options, "body", given)
	elseif is_map(given) then
		for name, convert in next, OPTIONS do
			if T.map_has(given, name) then
				local value = convert(T.map_get(given, name))
				if value ~= nil then T.map_set(options, name, value) end
			end
		end
	elseif given ~= nil then return nil end
	local headers = is_map(given) and T.map_get(given, "header")
	headers = is_map(headers) and fields(headers) or T.map()
	if not has_agent(headers) then T.map_set(headers, "User-Agent", USER_AGENT) end
	T.map_set(options, "header", headers)
	return options
end

local METHOD <const> = "^[%w!#$%%&'*+%-.^_`|~]+$"

local function escaped(c) return format("%%%02X", byte(c)) end

-- The function `request` for one plugin.
function T.requester(plugin)
	return function(n, url, given)
		if n < 1 or n > 2 then return wrong() end
		local options = options_of(given)
		if not options or n == 2 and given == nil then return bad(nil, "second", "map/bytes/string", given) end
		local method = T.map_get(options, "method")
		if method and not find(method, METHOD) then return T.error("net/http: invalid method " .. T.quote(method)) end
		url = text_or_empty(url)
		local _, problem = T.pure.urls.parse(url)
		if problem then return T.error(problem) end
		if not utf8len(url) then url = gsub(url, "[\128-\255]", escaped) end
		if not find(url, "^[hH][tT][tT][pP][sS]?:") then
			local scheme = match(url, "^(%a[%w+%-.]*):") or ""
			return T.error("Get " .. T.quote(url) .. ": unsupported protocol scheme " .. T.quote(scheme))
		end
		return asked(plugin, "http.request", 2, nil, url, options)
	end
end

---------------------------------------------------------------------------------- file

-- A name without "." and "..", as ServeMSX takes it: "/x" is "x".  One that leads out of the folder
-- stays what it is, for the engine to refuse.
local function cleaned(name)
	local kept, n = {}, 0
	for part in gmatch(name, "[^/]+") do
		if part == ".." then
			if n == 0 then return name end
			n = n - 1
		elseif part ~= "." then
			n = n + 1
			kept[n] = part
		end
	end
	return concat(kept, "/", 1, n)
end

-- What went wrong, in the words that scripts know from Go where there are such.
local function worded(action, plugin, name, problem)
	local path = "plugins/" .. plugin .. (name ~= "" and "/" .. name or "")
	if name == "" or find(problem, "Is a directory", 1, true) then return action .. " " .. path .. ": is a directory" end
	if find(name, "\0", 1, true) then return "open " .. path .. ": invalid argument" end
	return problem
end

-- The function `file` for one plugin.  A file that is not there is undefined, as the document has
-- it; ServeMSX makes it an error, and writes names where it should write values.
function T.keeper_of_files(plugin)
	return function(n, name, value)
		if n < 1 or n > 2 then return wrong() end
		name = text_or_empty(name)
		if name == "" then
			return fail "invalid type for argument 'first' in call to 'user-function:': expected not empty, found empty"
		end
		name = cleaned(name)
		local function ask(action, what, count, data)
			if name == "" then return T.error(worded(action, plugin, name, "")) end
			return asked(plugin, what, count, function(problem) return worded(action, plugin, name, problem) end, name, data)
		end
		if n == 1 then return ask("read", "file.read", 1) end
		if value == nil then return ask("remove", "file.remove", 1) end
		local data = type(value) == "table" and value[1] == BYTES and value or T.bytes(T.text(value))
		return ask("open", "file.write", 2, data)
	end
end

---------------------------------------------------------------------------------- memory

-- The function `memory` for one run, and what to do when the run has ended.  ServeMSX keeps the
-- object itself, so that scripts change it in place; here each run has a copy, and what it changed
-- is kept when it ends.
function T.rememberer(plugin)
	local known, value, kept = false, nil, nil
	local function remember(new)
		known, value = true, new
		kept = type(new) == "table" and T.encode(new) or nil
	end
	local function memory(n, new)
		if n > 1 then return wrong() end
		if n == 0 then
			if not known then remember(T.host("memory.get", 1, plugin)) end
			return value
		end
		T.host("memory.set", 2, plugin, new)
		remember(new)
		return nil
	end
	local function finish()
		if not kept then return end
		local ok, now = pcall(T.encode, value)
		if not ok then T.log(plugin, "error", "memory: " .. now)
		elseif now ~= kept then T.host("memory.set", 2, plugin, value) end
	end
	return memory, finish
end
