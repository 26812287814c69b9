-- The module `server` of a script: what ServeMSX calls `import("server")`.

local T = ...

local type, next, ipairs = type, next, ipairs
local mathtype, concat = math.type, table.concat
local find, match, sub, lower = string.find, string.match, string.sub, string.lower
local raw, text, array, map_get, map_keys = T.raw, T.text, T.array, T.map_get, T.map_keys
local urls = T.urls
local wrong, bad = T.wrong_arguments, T.bad_argument

local MAP <const> = T.MAP

-- A map of arrays of strings, of name -> list.
local function of_lists(fields)
	local map = T.map()
	for name, list in next, fields do
		local copy = {}
		for i, value in ipairs(list) do copy[i] = value end
		T.map_set(map, name, array(copy, #copy))
	end
	return map
end

-- The texts in a value of a map of headers or fields: those of an array, or of the value alone.
local function texts(value)
	local list = {}
	if T.is_array(value) then
		for i = 0, value[4] - 1 do list[i + 1] = text(T.array_get(value, i)) end
	elseif value ~= nil then list[1] = text(value) end
	return list
end

---------------------------------------------------------------------------------- reading

local function content_type(request)
	for _, name in ipairs(map_keys(request.headers)) do
		if lower(name) == "content-type" then return texts(map_get(request.headers, name))[1] or "" end
	end
	return ""
end

-- The fields of a multipart form that are no files (RFC 7578).
local function parse_multipart(body, kind)
	local fields = {}
	local boundary = match(kind, 'boundary="([^"]+)"') or match(kind, "boundary=([^;%s]+)")
	if not boundary then return fields end
	local from = 1
	local line = "--" .. boundary
	local _, at = find("\r\n" .. body, "\r\n" .. line, 1, true)
	while at do
		from = at - 1
		local head, finish = find(body, "\r\n\r\n", from, true)
		local next_at = find(body, "\r\n" .. line, from, true)
		if not head or not next_at or sub(body, from, from + 1) == "--" then break end
		local disposition = match(sub(body, from, head), "[Cc]ontent%-[Dd]isposition:([^\r\n]*)") or ""
		local name = match(disposition, '[; ]name="([^"]*)"')
		if name and not find(disposition, "filename=", 1, true) then
			fields[name] = fields[name] or {}
			local list = fields[name]
			list[#list + 1] = sub(body, finish + 1, next_at - 1)
		end
		at = next_at + #line + 2
	end
	return fields
end

local FORM_METHODS <const> = { POST = true, PUT = true, PATCH = true }

local function reader(request)
	local query, form, multipart
	local kind = match(content_type(request), "^%s*([^;%s]*)")
	local function form_fields(with_multipart)
		local method = FORM_METHODS[request.method]
		if not form then
			form = {}
			if method and lower(kind) == "application/x-www-form-urlencoded" then
				form, request.body = urls.parse_query(request.body, {}), ""
			end
		end
		if with_multipart and not multipart and lower(kind) == "multipart/form-data" then
			multipart = parse_multipart(request.body, content_type(request))
			request.body = ""
			for name, list in next, multipart do form[name] = list end
		end
		return form
	end
	return function(n, what, only_form)
		if n == 0 then
			local body = request.body
			request.body = ""
			return T.bytes(body)
		end
		if n > 2 then return wrong() end
		local kind_of = type(what)
		if kind_of ~= "string" and kind_of ~= "boolean" then return bad(nil, "first", "string/bool", what) end
		query = query or urls.parse_query(request.query, {})
		if kind_of == "string" then
			local found = form_fields(true)[what] or (not T.truthy(only_form) and query[what]) or nil
			return found and found[1]
		end
		local fields = of_lists(form_fields(false))
		if not what then
			for name, list in next, query do
				local before = map_get(fields, name)
				local all = before and texts(before) or {}
				for _, value in ipairs(list) do all[#all + 1] = value end
				T.map_set(fields, name, array(all, #all))
			end
		end
		return fields
	end
end

---------------------------------------------------------------------------------- writing

function T.new_answer() return { headers = {}, body = {} } end

local function put_headers(answer, map)
	for _, name in ipairs(map_keys(map)) do
		local list = texts(map_get(map, name))
		T.spend(#name + 2)
		answer.headers[#answer.headers + 1] = array({ name, array(list, #list) }, 2)
	end
end

local function put_text(answer, value)
	local shown = type(value) == "table" and value[1] == T.BYTES and value[2] or text(value)
	T.spend(#shown)
	answer.body[#answer.body + 1] = shown
end

-- The first text after a status: a redirect's target, or the text of an error page.
local function put_with_status(answer, status, value)
	if status < 200 then
		if value ~= nil then put_text(answer, value) end
		return
	end
	answer.status = status
	if value == nil then return end
	if status >= 300 and status <= 399 then
		answer.redirect = text(value)
	elseif status >= 400 then
		local kept = {}
		for _, header in ipairs(answer.headers) do
			if lower(T.array_get(header, 0)) ~= "content-type" then kept[#kept + 1] = header end
		end
		kept[#kept + 1] = array({ "Content-Type", array({ "text/plain; charset=utf-8" }, 1) }, 2)
		answer.headers = kept
		put_text(answer, value)
		answer.body[#answer.body + 1] = "\n"
	else put_text(answer, value) end
end

-- write(...): a map sets headers and an int the status, before the first text; a status counts when
-- a text follows in the same call, and from 300 to 399 that text is where to go instead.
local function writer(answer)
	local begun = false
	return function(n, ...)
		local values, status = { ... }, nil
		for i = 1, n do
			local value = values[i]
			local is_int, is_map = mathtype(value) == "integer", type(value) == "table" and value[1] == MAP
			if is_int or is_map then
				if begun or status then return bad(nil, i - 1 .. "-th", "nor map or int", value) end
				if is_int then status = value
				else put_headers(answer, value) end
			elseif status then
				put_with_status(answer, status, value)
				status, begun = nil, true
			elseif value ~= nil then
				put_text(answer, value)
				begun = true
			end
		end
		return nil
	end
end

---------------------------------------------------------------------------------- addresses

local function encode_uri(n, value, for_path)
	if n < 1 or n > 2 then return wrong() end
	if type(value) == "string" then return urls.escape(value, n == 2 and T.truthy(for_path)) end
	if not T.is_map(value) then return bad(nil, "first", "string/map", value) end
	local pairs_ = {}
	for _, name in ipairs(map_keys(value)) do
		for _, item in ipairs(texts(map_get(value, name))) do
			pairs_[#pairs_ + 1] = urls.escape(name) .. "=" .. urls.escape(item)
		end
	end
	return concat(pairs_, "&")
end

local function decode_uri(n, value, for_path)
	if n < 1 or n > 2 then return wrong() end
	if type(value) ~= "string" then return bad(nil, "first", "string", value) end
	local found, problem = urls.unescape(value, not (n == 2 and T.truthy(for_path)))
	return found or T.error(problem)
end

local FIELDS <const> = { "scheme", "opaque", "user", "pass", "host", "path", "raw_path", "raw_query", "fragment", "raw_fragment" }

local function url_functions(address)
	local function parse_url(n, value)
		if n > 1 then return wrong() end
		if n == 1 and type(value) ~= "string" then return bad(nil, "first", "string", value) end
		local url, problem = urls.parse(n == 1 and value or address)
		if not url then return T.error(problem) end
		local map = T.map()
		for _, name in ipairs(FIELDS) do T.map_set(map, name, url[name]) end
		T.map_set(map, "query", of_lists(urls.parse_query(url.raw_query, {})))
		return map
	end
	-- resolve_url(reference[, base])
	local function resolve_url(n, value, base)
		if n < 1 or n > 2 then return wrong() end
		if type(value) ~= "string" then return bad(nil, "first", "string", value) end
		if n == 2 and type(base) ~= "string" then return bad(nil, "second", "string", base) end
		local from, problem = urls.parse(n == 2 and base or address)
		if not from then return T.error(problem) end
		local reference
		reference, problem = urls.parse(value)
		if not reference then return T.error(problem) end
		return urls.text(urls.resolve(from, reference))
	end
	return parse_url, resolve_url
end

---------------------------------------------------------------------------------- the module

local function logger(plugin, level)
	return function(n, ...)
		local parts = { ... }
		for i = 1, n do parts[i] = text(parts[i]) end
		T.log(plugin, level, concat(parts, " ", 1, n))
		return nil
	end
end

-- What the engine says of the request, as plain Lua strings; headers stay a Tengo map.
local function plain_request(request)
	local plain = {}
	for _, name in ipairs(map_keys(request)) do plain[name] = raw(map_get(request, name)) end
	return plain
end

function T.server_library(plugin, file, request, answer)
	request = plain_request(request)
	local parse_url, resolve_url = url_functions("http://" .. request.host .. request.uri)
	local library = {
		proto = request.proto, method = request.method, host = request.host, remote_addr = request.remote_addr,
		header = request.headers, uri = request.uri, version = request.version, script = file, plugin = plugin,
		path = request.path, base_url = request.base_url, settings = T.immutable_map {},
		read = reader(request), write = writer(answer),
		memory = function(n, value)
			if n > 1 then return wrong() end
			if n == 0 then return T.host("memory.get", 1, plugin) end
			T.host("memory.set", 2, plugin, value)
			return nil
		end,
		log_inf = logger(plugin, "info"), log_err = logger(plugin, "error"),
		encode_uri = encode_uri, decode_uri = decode_uri, parse_url = parse_url, resolve_url = resolve_url,
	}
	for _, value in next, library do
		if type(value) == "function" then T.user_function(value) end
	end
	library.__module_name__ = "server"
	return T.immutable_map(library)
end
