-- The `server` library of a script: what ServeMSX calls `import("server")`.

local core = ...

local type, tostring, error, next, select = type, tostring, error, next, select
local mathtype, concat, setmetatable, getmetatable = math.type, table.concat, setmetatable, debug.getmetatable
local rawget, rawlen, pack = rawget, rawlen, table.pack
local urls, forms, answers, msx = core.urls, core.forms, core.answers, core.msx

---------------------------------------------------------------------------------- arguments

-- A value as text, the same in every language: nothing is empty, tables are shown as
-- `[1, "a", true]` without running guest code.
local function text_of(value)
	if value == nil then return "" end
	if type(value) == "string" then return value end
	if type(value) == "table" then return core.inspect(value) end
	return tostring(value)
end

local function counted(name, least, most, ...)
	local n = select("#", ...)
	if n >= least and n <= most then return end
	local wanted = least == most and tostring(least) or least .. " to " .. most
	error(name .. ": expected " .. wanted .. " arguments, not " .. n, 3)
end

local function a_text(name, value)
	if type(value) ~= "string" then error(name .. ": expected a text, not " .. type(value), 3) end
	return value
end

-- A list of the texts in `value`, which may be one or a list of them.
local function texts_of(value)
	if type(value) ~= "table" or type(next(value)) == "string" then return { text_of(value) } end
	local list = {}
	for i = 1, rawlen(value) do list[i] = text_of(rawget(value, i)) end
	return list
end

-- An empty table is a map, unless it came from the server as a list.
local function is_map(value)
	if type(value) ~= "table" then return false end
	local key = next(value)
	if key == nil then return not core.is_list_mt[getmetatable(value) or false] end
	return mathtype(key) ~= "integer"
end

---------------------------------------------------------------------------------- reading

local function reader(request)
	local method, kind = request.method, (request.headers["Content-Type"] or {})[1] or ""
	local query, fields, files
	local function parsed()
		if not fields then fields, files = forms.form(method, kind, request.body, urls.parse_query) end
		return fields, files
	end
	local function of_query()
		query = query or urls.parse_query(request.query, {})
		return query
	end
	return function(...)
		counted("read", 0, 2, ...)
		local what, only_form = ...
		if select("#", ...) == 0 then return request.body end
		if type(what) == "string" then
			if what == "" then return nil end
			local own, sent = parsed()
			if not own[what] and sent[what] then return sent[what] end
			local found = own[what] or (not only_form and of_query()[what]) or nil
			return found and found[1]
		end
		if type(what) ~= "boolean" then error("read: expected a name or a bool, not " .. type(what), 2) end
		local all = {}
		local function add(source)
			for name, list in next, source do
				local into = all[name] or {}
				all[name] = into
				for i = 1, #list do into[#into + 1] = list[i] end
			end
		end
		-- Fields of the body come before those of the query.
		add((parsed()))
		if not what then add(of_query()) end
		return all
	end
end

---------------------------------------------------------------------------------- writing

function core.new_answer()
	return { headers = setmetatable({}, core.list_mt), body = {} }
end

local function put_headers(answer, map)
	for name, values in next, map do
		if type(name) ~= "string" then error("write: a header's name is a text", 3) end
		local list = setmetatable(texts_of(values), core.list_mt)
		core.spend(#name + #concat(list) + 4)
		answer.headers[#answer.headers + 1] = setmetatable({ name, list }, core.list_mt)
	end
end

-- write(...): a map sets headers, an integer the status, an integer 300-399 before a text a
-- redirect, a greater one before anything an error; everything else goes to the body.
local function writer(answer, request)
	local method, uri = request.method, request.uri
	return function(...)
		local status -- of the argument before
		for i = 1, select("#", ...) do
			local value = (select(i, ...))
			local before = status
			status = nil
			if is_map(value) then put_headers(answer, value)
			elseif mathtype(value) == "integer" then
				status = value
				answer.status = value
			elseif value ~= nil then
				if before and before >= 300 and before <= 399 and type(value) == "string" then
					local place = urls.redirected(uri, value)
					core.spend(#place * 2)
					answers.redirect(answer, method, before, place)
				else
					local text = text_of(value)
					core.spend(#text)
					if before and before >= 400 and answers.is_bare(answer) then answers.failure(answer, text)
					else answer.body[#answer.body + 1] = text end
				end
			end
		end
	end
end

local function logger(plugin, level)
	return function(...)
		local parts = pack(...)
		for i = 1, parts.n do parts[i] = text_of(parts[i]) end
		core.log(plugin, "", level, concat(parts, " "))
	end
end

---------------------------------------------------------------------------------- the network

-- A refusal is an error, which names the grant; a request that failed is nil and why, as Lua's
-- own libraries have it.
local function fetch(...)
	counted("request", 1, 2, ...)
	local url, options = ...
	a_text("request", url)
	local sent = {}
	if type(options) == "string" then sent.method = options
	elseif type(options) == "table" then
		for name, value in next, options do sent[name] = value end
		if type(sent.method) == "string" then sent.method = sent.method:upper() end
	elseif options ~= nil then error("request: expected a method or a map of options, not " .. type(options), 2) end
	local ok, answer = core.try_host("http.request", url, sent)
	if ok then return answer end
	return nil, answer
end

---------------------------------------------------------------------------------- what lasts

local function stored(...)
	counted("file", 1, 2, ...)
	local name, data = ...
	a_text("file", name)
	if select("#", ...) == 1 then return core.host("file.read", name) end
	if data == nil then core.host("file.remove", name)
	else core.host("file.write", name, text_of(data)) end
end

local function keeper(plugin)
	return function(...)
		counted("memory", 0, 1, ...)
		if select("#", ...) == 0 then return core.host("memory.get", plugin) end
		core.host("memory.set", plugin, (...))
	end
end

---------------------------------------------------------------------------------- URLs

local function part_for(for_path) return for_path and "segment" or "query" end

local function encode_uri(...)
	counted("encode_uri", 1, 2, ...)
	local value, for_path = ...
	if type(value) == "string" then return urls.escape(value, part_for(for_path)) end
	if not is_map(value) then error("encode_uri: expected a text or a map, not " .. type(value), 2) end
	local fields = {}
	for name, list in next, value do fields[text_of(name)] = texts_of(list) end
	return urls.encode_query(fields)
end

local function decode_uri(...)
	counted("decode_uri", 1, 2, ...)
	local text, for_path = ...
	return urls.unescape(a_text("decode_uri", text), part_for(for_path))
end

local function parser(own)
	return function(...)
		counted("parse_url", 0, 1, ...)
		local text = own
		if select("#", ...) == 1 then text = a_text("parse_url", (...)) end
		local url, problem = urls.parse(text)
		if not url then return nil, problem end
		return urls.components(url)
	end
end

local function resolver(own)
	return function(...)
		counted("resolve_url", 1, 2, ...)
		local base, reference = ...
		a_text("resolve_url", base)
		if select("#", ...) == 1 then return urls.resolve(own, base) end
		return urls.resolve(base, a_text("resolve_url", reference))
	end
end

---------------------------------------------------------------------------------- settings

-- What the operator set, and ServeMSX's functions over it.  They only build texts for the Media
-- Station X app: none starts a process or reaches for another server.  What is set under the name
-- of a function is what it answers without arguments.
local function settings_of(values, host)
	local settings = { compressed = false }
	for name, value in next, values do settings[name] = value end
	function settings.dic() return values.dic end
	function settings.torr(...)
		counted("torr", 0, 3, ...)
		if select("#", ...) == 0 then return text_of(values.torr) end
		local link, title, image = ...
		return msx.torrent_link(host, text_of(link), text_of(title), text_of(image), urls.escape)
	end
	function settings.player(...)
		counted("player", 0, 2, ...)
		local first, extended = ...
		if select("#", ...) == 0 then
			return values.html5x == true and "html5x" or text_of(values.player)
		end
		if type(first) == "boolean" then return msx.player_properties(values, first, extended) end
		return msx.player_link(values, a_text("player", first), urls.escape)
	end
	function settings.ffmpeg(...)
		counted("ffmpeg", 0, 3, ...)
		local n, source = select("#", ...), ...
		if n == 0 then return values.ffmpeg end
		if text_of(source) == "" then error("ffmpeg: the source is empty", 2) end
		for i = 2, n do
			local list = (select(i, ...))
			if type(list) ~= "table" then error("ffmpeg: expected a list, not " .. type(list), 2) end
		end
		return nil, "ffmpeg: this server starts no processes for plugins"
	end
	return settings
end

---------------------------------------------------------------------------------- the library

function core.server_library(plugin, file, request, answer)
	local own = "http://" .. request.host .. request.uri
	request.headers.Host = nil -- Go takes it for the address; it is there as `host`
	local log = logger(plugin, "info")
	return {
		proto = request.proto, method = request.method, host = request.host, remote_addr = request.remote_addr,
		header = request.headers, headers = request.headers, uri = request.uri, version = request.version,
		script = file, plugin = plugin, path = request.path, base_url = request.base_url,
		settings = settings_of(request.settings or {}, request.host),
		read = reader(request), write = writer(answer, request),
		memory = keeper(plugin), file = stored, request = fetch,
		log = log, log_inf = log, log_err = logger(plugin, "error"),
		encode_uri = encode_uri, decode_uri = decode_uri,
		parse_url = parser(own), resolve_url = resolver(own),
	}
end
