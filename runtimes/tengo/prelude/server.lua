-- The module `server` of a script: what ServeMSX calls `import("server")`.

local T = ...

local type, next, ipairs, select = type, next, ipairs, select
local concat, lower = table.concat, string.lower
local raw, text, map_get, map_keys, map_set = T.raw, T.text, T.map_get, T.map_keys, T.map_set
local text_or_empty, texts, fail, own = T.text_or_empty, T.texts, T.fail, T.user_function
local urls, forms, msx = T.pure.urls, T.pure.forms, T.pure.msx
local wrong, bad = T.wrong_arguments, T.bad_argument

---------------------------------------------------------------------------------- reading

local function content_type(request)
	for _, name in ipairs(map_keys(request.headers)) do
		if lower(name) == "content-type" then return texts(map_get(request.headers, name))[1] or "" end
	end
	return ""
end

-- The function `read`: the body is there once, as with Go, whether it is read as it is or as a form.
local function reader(request)
	local query, form, files
	local function parsed()
		if not form then
			form, files = forms.form(request.method, content_type(request), request.body, urls.parse_query)
			if next(form) or next(files) then request.body = "" end
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
		local kind = type(what)
		if kind ~= "string" and kind ~= "boolean" then return bad(nil, "first", "string/bool", what) end
		query = query or urls.parse_query(request.query, {})
		local own = parsed()
		if kind == "string" then
			local found = own[what] or not T.truthy(only_form) and query[what] or nil
			return what ~= "" and found and found[1] or nil
		end
		local fields = T.map_of_lists(own)
		if not what then
			for name, list in next, query do
				local all = own[name] and texts(map_get(fields, name)) or {}
				for i = 1, #list do all[#all + 1] = list[i] end
				map_set(fields, name, T.array(all, #all))
			end
		end
		return fields
	end
end

---------------------------------------------------------------------------------- addresses

local function part(n, for_path) return n == 2 and T.truthy(for_path) and "segment" or "query" end

local function encode_uri(n, value, for_path)
	if n < 1 or n > 2 then return wrong() end
	if type(value) == "string" then return urls.escape(value, part(n, for_path)) end
	if not T.is_map(value) then return bad(nil, "first", "string/map", value) end
	return urls.encode_query(T.lists_of_map(value))
end

local function decode_uri(n, value, for_path)
	if n < 1 or n > 2 then return wrong() end
	if type(value) ~= "string" then return bad(nil, "first", "string", value) end
	local found, problem = urls.unescape(value, part(n, for_path))
	return found or T.error(problem)
end

local function url_functions(address)
	local function parse_url(n, value)
		if n > 1 then return wrong() end
		if n == 1 and type(value) ~= "string" then return bad(nil, "first", "string", value) end
		local url, problem = urls.parse(n == 1 and value or address)
		if not url then return T.error(problem) end
		local map = T.map()
		for name, component in next, urls.components(url) do
			if type(component) == "table" then component = T.map_of_lists(component) end
			map_set(map, name, component)
		end
		return map
	end
	-- Base and reference in the document's order, or in that of ServeMSX: see `urls.resolve`.
	local function resolve_url(n, value, other)
		if n < 1 or n > 2 then return wrong() end
		if type(value) ~= "string" then return bad(nil, "first", "string", value) end
		if n == 2 and type(other) ~= "string" then return bad(nil, "second", "string", other) end
		local base, reference = address, value
		if n == 2 then base, reference = value, other end
		local found, problem = urls.resolve(base, reference)
		return found or T.error(problem)
	end
	return parse_url, resolve_url
end

---------------------------------------------------------------------------------- settings

-- What `settings` holds as functions; what the operator set under these names, they answer from.
local OWN <const> = { dic = true, torr = true, player = true, ffmpeg = true, html5x = true, platform = true }

local function is_empty(value) return value == nil or value == "" end

-- They make texts for Media Station X and nothing else.
local function settings_functions(values, host)
	return {
		dic = function()
			if is_empty(values.dic) then return T.error "open dictionary.json: no such file or directory" end
			return values.dic
		end,
		torr = function(n, link, title, image)
			if n > 3 then return wrong() end
			if n == 0 then return values.torr or "" end
			link, title, image = text_or_empty(link), text_or_empty(title), text_or_empty(image)
			return msx.torrent_link(host, link, title, image, urls.escape)
		end,
		player = function(n, what, extended)
			if n > 2 then return wrong() end
			if n == 0 then return values.html5x == true and "html5x" or values.player or "" end
			if type(what) == "boolean" then
				return T.map_of(msx.player_properties(values, what, n == 2 and T.truthy(extended)))
			end
			if type(what) ~= "string" then return bad(nil, "first", "bool/string", what) end
			return msx.player_link(values, what, urls.escape)
		end,
		ffmpeg = function(n, source, ...)
			if n > 3 then return wrong() end
			if n == 0 then return values.ffmpeg end
			for i = n - 1, 1, -1 do
				local list = select(i, ...)
				if not T.is_array(list) then return bad(nil, i == 1 and "second" or "third", "array", list) end
			end
			if text_or_empty(source) == "" then
				return fail "invalid type for argument 'first' in call to 'user-function:': expected not empty, found empty"
			end
			return T.error "ffmpeg: this server starts no programs for plugins"
		end,
	}
end

local function settings_of(given, host)
	local map, values = T.map(), {}
	map_set(map, "compressed", false)
	for _, name in ipairs(given and map_keys(given) or {}) do
		values[name] = map_get(given, name)
		if not OWN[name] then map_set(map, name, values[name]) end
	end
	for name, f in next, settings_functions(values, host) do map_set(map, name, T.user_function(f)) end
	return map
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

-- What the engine says of the request, as plain Lua strings; headers and settings stay Tengo maps.
local function plain_request(request)
	local plain = {}
	-- With the hidden fields of the map, which nobody asks for: `map_keys` would sort the names.
	for name, value in next, request do plain[name] = raw(value) end
	-- Go takes it for the address, and it is there as `host`.
	T.map_delete(plain.headers, "Host")
	return plain
end

-- The module for one run, and what to do when the run has ended.
function T.server_library(plugin, file, request, answer)
	request = plain_request(request)
	local parse_url, resolve_url = url_functions("http://" .. request.host .. request.uri)
	local memory, finish = T.rememberer(plugin)
	local library = {
		proto = request.proto, method = request.method, host = request.host, remote_addr = request.remote_addr,
		header = request.headers, uri = request.uri, version = request.version, plugin = plugin,
		-- ServeMSX tells where the file is from its own folder on.
		script = "plugins/" .. plugin .. "/" .. file,
		path = request.path, base_url = request.base_url, settings = settings_of(request.settings, request.host),
		read = own(reader(request)), write = own(T.writer(answer, request.method, request.uri)),
		request = own(T.requester(plugin)), file = own(T.keeper_of_files(plugin)), memory = own(memory),
		log_inf = own(logger(plugin, "info")), log_err = own(logger(plugin, "error")),
		encode_uri = own(encode_uri), decode_uri = own(decode_uri),
		parse_url = own(parse_url), resolve_url = own(resolve_url), __module_name__ = "server",
	}
	return T.immutable_map(library), finish
end
