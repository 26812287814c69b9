-- The `server` library of a script: what ServeMSX calls `import("server")`.

local core = ...

local type, tostring, error, ipairs, next = type, tostring, error, ipairs, next
local select, mathtype, concat, setmetatable = select, math.type, table.concat, setmetatable

---------------------------------------------------------------------------------- query strings

local function unescape(text)
	local bad = text:gsub("%%%x%x", ""):find("%", 1, true)
	if bad then return nil end
	return (text:gsub("+", " "):gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

-- Add the fields of `text` to `fields`: a map of lists.  A pair with a semicolon or a broken
-- escape is left out, as Go's url.ParseQuery does.
local function parse_query(text, fields)
	for pair in text:gmatch "[^&]+" do
		if not pair:find(";", 1, true) then
			local key, value = pair:match "^([^=]*)=?(.*)$"
			key, value = unescape(key), unescape(value)
			if key and value then
				fields[key] = fields[key] or {}
				fields[key][#fields[key] + 1] = value
			end
		end
	end
	return fields
end

local function escape(text, for_path)
	return (text:gsub("[^%w%-_%.~]", function(c)
		if c == " " and not for_path then return "+" end
		if for_path and c:find "[$&+=:@]" then return c end
		return ("%%%02X"):format(c:byte())
	end))
end

local function encode_uri(value, for_path)
	if type(value) == "string" then return escape(value, for_path) end
	if type(value) ~= "table" then error("encode_uri: expected a string or a table", 2) end
	local names, pairs_ = {}, {}
	for name in next, value do names[#names + 1] = tostring(name) end
	table.sort(names)
	for _, name in ipairs(names) do
		local list = value[name]
		for _, item in ipairs(type(list) == "table" and list or { list }) do
			pairs_[#pairs_ + 1] = escape(name) .. "=" .. escape(tostring(item))
		end
	end
	return concat(pairs_, "&")
end

---------------------------------------------------------------------------------- reading

local FORM <const> = "application/x-www-form-urlencoded"

local function reader(request)
	local query, form
	local function query_fields()
		query = query or parse_query(request.query, {})
		return query
	end
	local function form_fields()
		if not form then
			local kind = (request.headers["Content-Type"] or {})[1] or ""
			form = kind:match "^[^;]*":lower():match "^%s*(.-)%s*$" == FORM and parse_query(request.body, {}) or {}
		end
		return form
	end
	return function(...)
		local what, only_form = ...
		if select("#", ...) == 0 then return request.body end
		if type(what) == "string" then
			local found = form_fields()[what] or (not only_form and query_fields()[what]) or nil
			return found and found[1]
		end
		local all = {}
		-- Fields of the body come before those of the query.
		for _, fields in ipairs(what and { form_fields() } or { form_fields(), query_fields() }) do
			for name, list in next, fields do
				all[name] = all[name] or {}
				for _, value in ipairs(list) do all[name][#all[name] + 1] = value end
			end
		end
		return all
	end
end

---------------------------------------------------------------------------------- writing

function core.new_answer()
	return { headers = setmetatable({}, core.list_mt), body = {} }
end

local function put_headers(answer, map)
	for name, values in next, map do
		if type(name) ~= "string" then error("write: a header's name is a string", 3) end
		local list = setmetatable({}, core.list_mt)
		for _, value in ipairs(type(values) == "table" and values or { values }) do list[#list + 1] = tostring(value) end
		core.spend(#name + 2)
		answer.headers[#answer.headers + 1] = setmetatable({ name, list }, core.list_mt)
	end
end

local function put_body(answer, value)
	if type(value) == "table" then value = core.inspect(value) end
	local text = tostring(value)
	core.spend(#text)
	answer.body[#answer.body + 1] = text
end

local function is_map(value)
	if type(value) ~= "table" then return false end
	local key = next(value)
	return type(key) == "string"
end

-- write(...): a map sets headers, an integer the status, an integer 300-399 before a string a
-- redirect; everything else goes to the body.
local function writer(answer)
	return function(...)
		local i, n = 1, select("#", ...)
		while i <= n do
			local value = (select(i, ...))
			if is_map(value) then put_headers(answer, value)
			elseif mathtype(value) == "integer" then
				answer.status = value
				local following = i < n and (select(i + 1, ...)) or nil
				if value >= 300 and value <= 399 and type(following) == "string" then
					answer.redirect = following
					i = i + 1
				end
			elseif value ~= nil then put_body(answer, value) end
			i = i + 1
		end
	end
end

local function logger(plugin, level)
	return function(...)
		local parts = table.pack(...)
		for i = 1, parts.n do parts[i] = tostring(parts[i]) end
		core.log(plugin, "", level, concat(parts, " "))
	end
end

---------------------------------------------------------------------------------- the network

-- A refusal is an error, which names the grant; a request that failed is nil and why, as Lua's
-- own libraries have it.
local function fetch(url, options)
	if type(url) ~= "string" then error("request: the address is a string", 2) end
	if options == nil then options = {}
	elseif type(options) == "string" then options = { method = options }
	elseif type(options) ~= "table" then error("request: expected a method or a table of options", 2) end
	local sent = {}
	for name, value in next, options do sent[name] = value end
	local asked = options.method
	if type(asked) == "string" then sent.method = asked:upper() end
	local ok, answer = core.try_host("http.request", url, sent)
	if ok then return answer end
	return nil, answer
end

---------------------------------------------------------------------------------- files

local function stored(name, ...)
	if type(name) ~= "string" then error("file: the name is a string", 2) end
	if select("#", ...) == 0 then return core.host("file.read", name) end
	local data = (...)
	if data == nil then core.host("file.remove", name)
	else core.host("file.write", name, tostring(data)) end
end

function core.server_library(plugin, file, request, answer)
	local log = logger(plugin, "info")
	return {
		proto = request.proto, method = request.method, host = request.host, remote_addr = request.remote_addr,
		header = request.headers, headers = request.headers, uri = request.uri, version = request.version,
		script = file, plugin = plugin, path = request.path, base_url = request.base_url,
		read = reader(request), write = writer(answer),
		memory = function(...)
			if select("#", ...) == 0 then return core.host("memory.get", plugin) end
			core.host("memory.set", plugin, (...))
		end,
		log = log, log_inf = log, log_err = logger(plugin, "error"),
		request = fetch, file = stored,
		encode_uri = encode_uri,
		decode_uri = function(text, for_path)
			return unescape(for_path and text:gsub("%+", "%%2B") or text)
		end,
	}
end
