-- URLs and queries as Go's net/url reads and writes them (RFC 3986, with Go's additions).
--
-- Pure functions over strings and plain tables, so that every language that runs on Lua can share
-- this file.  What fails is nil and the reason, in Go's words: scripts show them to people who
-- know them from there.

local byte, char, find, format, gmatch = string.byte, string.char, string.find, string.format, string.gmatch
local gsub, lower, match, sub = string.gsub, string.lower, string.match, string.sub
local concat, sort, next = table.concat, table.sort, next

local MAX_PAIRS <const> = 10000

---------------------------------------------------------------------------------- escaping

local HEX, QUERY_HEX, UNHEX = {}, {}, {}
for code = 0, 255 do
	local hex = format("%02X", code)
	HEX[char(code)], QUERY_HEX[char(code)] = "%" .. hex, "%" .. hex
	for _, high in next, { sub(hex, 1, 1), lower(sub(hex, 1, 1)) } do
		for _, low in next, { sub(hex, 2), lower(sub(hex, 2)) } do UNHEX[high .. low] = char(code) end
	end
end
QUERY_HEX[" "] = "+"

-- What each part of a URL shows as it is, besides letters, digits and "-_.~".
local SHOWN <const> = {
	query = "", segment = "%$&%+=:@", path = "%$&%+,/:;=@", userinfo = "%$&%+,;=",
	fragment = "%$&%+,/:;=%?@!%(%)%*", host = "!%$&'%(%)%*%+,;=:%[%]<>\"",
}
local ESCAPED = {}
for part, shown in next, SHOWN do ESCAPED[part] = "[^%w%-_.~" .. shown .. "]" end

-- Escape `text` for a part of a URL: "query", "segment" (of a path), "path", ...
local function escape(text, part)
	return (gsub(text, ESCAPED[part], part == "query" and QUERY_HEX or HEX))
end

-- The text as Go quotes it in its error messages.
local function quoted(text)
	text = gsub(text, '[\\"]', "\\%0")
	return '"' .. gsub(text, "[%c\127]", function(c) return format("\\x%02x", byte(c)) end) .. '"'
end

local function bad_escape(text)
	local at = find(text, "%", 1, true)
	while at do
		if not find(text, "^%x%x", at + 1) then return sub(text, at, at + 2) end
		at = find(text, "%", at + 3, true)
	end
end

-- Undo `escape`.  Only in the part "query" a plus is a space.
local function unescape(text, part)
	local bad = bad_escape(text)
	if bad then return nil, "invalid URL escape " .. quoted(bad) end
	if part == "query" then text = gsub(text, "%+", " ") end
	return (gsub(text, "%%(%x%x)", UNHEX))
end

---------------------------------------------------------------------------------- queries

-- Add the pairs of a query to `fields`, a map of lists; returns it.  As Go, leaves out pairs with a
-- semicolon or a broken escape.  A query of too many pairs adds nothing.
local function parse_query(text, fields)
	local pairs_, count = {}, 0
	for pair in gmatch(text, "[^&]+") do
		count = count + 1
		if count > MAX_PAIRS then return fields end
		pairs_[count] = pair
	end
	for i = 1, count do
		local pair = pairs_[i]
		if not find(pair, ";", 1, true) then
			local key, value = match(pair, "^([^=]*)=?(.*)$")
			key, value = unescape(key, "query"), unescape(value, "query")
			if key and value then
				local list = fields[key]
				if list then list[#list + 1] = value else fields[key] = { value } end
			end
		end
	end
	return fields
end

-- A map of lists of strings as a query, sorted by name.
local function encode_query(fields)
	local names, out = {}, {}
	for name in next, fields do names[#names + 1] = name end
	sort(names)
	for i = 1, #names do
		local list, prefix = fields[names[i]], escape(names[i], "query") .. "="
		for k = 1, #list do out[#out + 1] = prefix .. escape(list[k], "query") end
	end
	return concat(out, "&")
end

---------------------------------------------------------------------------------- parsing

-- In a host only bytes beyond ASCII are escaped, and the percent sign before a zone (RFC 6874).
local function unescape_host(text, in_zone)
	local bad = bad_escape(text)
	for hex in gmatch(bad and "" or text, "%%(%x%x)") do
		local c = UNHEX[hex]
		local allowed = hex == "25"
		if in_zone then allowed = allowed or c == " " or not find(c, ESCAPED.host)
		else allowed = allowed or byte(c) > 127 end
		if not allowed then bad = "%" .. hex; break end
	end
	if bad then return nil, "invalid URL escape " .. quoted(bad) end
	local stray = match(gsub(text, "%%%x%x", ""), "[^%w%-_.~\128-\255" .. SHOWN.host .. "]")
	if stray then return nil, "invalid character " .. quoted(stray) .. " in host name" end
	return (gsub(text, "%%(%x%x)", UNHEX))
end

local function parse_host(host)
	local port = match(host, "^.*(:.*)$") or ""
	if sub(host, 1, 1) == "[" then
		local close = find(host, "%][^%]]*$")
		if not close then return nil, "missing ']' in host" end
		port = sub(host, close + 1)
		if port ~= "" and not find(port, "^:%d*$") then return nil, "invalid port " .. quoted(port) .. " after host" end
		local zone = find(sub(host, 1, close - 1), "%25", 1, true)
		if zone then
			local before, problem = unescape_host(sub(host, 1, zone - 1))
			if not before then return nil, problem end
			local inside
			inside, problem = unescape_host(sub(host, zone, close - 1), true)
			if not inside then return nil, problem end
			return before .. inside .. sub(host, close)
		end
	elseif port ~= "" and not find(port, "^:%d*$") then
		return nil, "invalid port " .. quoted(port) .. " after host"
	end
	return unescape_host(host)
end

-- Fills in `url.user` (a map of name and, where given, password) and `url.host`.
local function parse_authority(url, authority)
	local userinfo, host = match(authority, "^(.*)@([^@]*)$")
	local problem
	url.host, problem = parse_host(host or authority)
	if not url.host then return nil, problem end
	if not userinfo then return true end
	if find(userinfo, "[^%w%-._:~!%$&'%(%)%*%+,;=%%@]") then return nil, "net/url: invalid userinfo" end
	local name, colon, password = match(userinfo, "^([^:]*)(:?)(.*)$")
	name, problem = unescape(name)
	if not name then return nil, problem end
	password, problem = unescape(password)
	if not password then return nil, problem end
	url.user = { name = name, password = colon == ":" and password or nil }
	return true
end

-- `raw_path` is kept only where escaping `path` would not give it back.
local function set_path(url, escaped)
	local path, problem = unescape(escaped)
	if not path then return nil, problem end
	url.path, url.raw_path = path, escape(path, "path") ~= escaped and escaped or ""
	return true
end

local function parse_before_fragment(url, text)
	if find(text, "[%c\127]") then return nil, "net/url: invalid control character in URL" end
	if text == "*" then url.path = "*"; return true end
	if sub(text, 1, 1) == ":" then return nil, "missing protocol scheme" end
	local scheme, rest = match(text, "^(%a[%w+%-.]*):(.*)$")
	url.scheme, rest = lower(scheme or ""), rest or text
	local before, query = match(rest, "^([^?]*)%?(.*)$")
	if before then rest, url.query, url.force_query = before, query, query == "" end
	if sub(rest, 1, 1) ~= "/" then
		if scheme then url.opaque = rest; return true end
		-- "127.0.0.1:80/x" must not pass for a path.
		if find(match(rest, "^[^/]*"), ":", 1, true) then
			return nil, "first path segment in URL cannot contain colon"
		end
	end
	if sub(rest, 1, 2) == "//" and (scheme or sub(rest, 1, 3) ~= "///") then
		local authority, path = match(rest, "^//([^/]*)(.*)$")
		local ok, problem = parse_authority(url, authority)
		if not ok then return nil, problem end
		rest = path
	else url.no_authority = scheme ~= nil end
	return set_path(url, rest)
end

-- The parts of a URL or a relative reference.
local function parse(text)
	local url = { scheme = "", opaque = "", host = "", path = "", raw_path = "", query = "", fragment = "", raw_fragment = "" }
	local before, fragment = match(text, "^([^#]*)#?(.*)$")
	local ok, problem = parse_before_fragment(url, before)
	if not ok then return nil, "parse " .. quoted(before) .. ": " .. problem end
	local decoded
	decoded, problem = unescape(fragment)
	if not decoded then return nil, "parse " .. quoted(text) .. ": " .. problem end
	url.fragment = decoded
	url.raw_fragment = escape(decoded, "fragment") ~= fragment and fragment or ""
	return url
end

---------------------------------------------------------------------------------- writing

local function escaped_path(url)
	-- What was sent counts, unless it holds what a path must not show.
	if url.raw_path ~= "" and not find(url.raw_path, "[^%w%-_.~!%$&'%(%)%*%+,;=:@%[%]%%/]") then return url.raw_path end
	if url.path == "*" then return "*" end
	return escape(url.path, "path")
end

local function escaped_fragment(url)
	local raw = url.raw_fragment
	if raw ~= "" and not find(raw, "[^%w%-_.~!%$&'%(%)%*%+,;=:@%[%]%%/%?]") then return raw end
	return escape(url.fragment, "fragment")
end

-- The URL as text.
local function text_of(url)
	local out = url.scheme ~= "" and url.scheme .. ":" or ""
	if url.opaque ~= "" then out = out .. url.opaque
	else
		local path, user = escaped_path(url), url.user
		if url.host ~= "" or user or (url.scheme ~= "" and path ~= "" and not url.no_authority) then
			out = out .. "//"
			if user then
				local password = user.password and ":" .. escape(user.password, "userinfo") or ""
				out = out .. escape(user.name, "userinfo") .. password .. "@"
			end
			out = out .. escape(url.host, "host")
		end
		if path ~= "" and sub(path, 1, 1) ~= "/" and url.host ~= "" then out = out .. "/" end
		-- "a:b" as a relative path would be taken for a scheme (RFC 3986 section 4.2).
		if out == "" and find(match(path, "^[^/]*"), ":", 1, true) then out = "./" end
		out = out .. path
	end
	if url.query ~= "" or url.force_query then out = out .. "?" .. url.query end
	if url.fragment ~= "" then out = out .. "#" .. escaped_fragment(url) end
	return out
end

-- The parts as scripts see them.
local function components(url)
	return {
		scheme = url.scheme, opaque = url.opaque, host = url.host,
		user = url.user and url.user.name or "", pass = url.user and url.user.password or nil,
		path = url.path, raw_path = escaped_path(url),
		query = parse_query(url.query, {}), raw_query = url.query,
		fragment = url.fragment, raw_fragment = escaped_fragment(url),
	}
end

---------------------------------------------------------------------------------- resolving

-- The path of a reference seen from a base's, without "." and ".." (RFC 3986 section 5.2).
local function resolve_path(base, reference)
	local full = reference
	if reference == "" then full = base
	elseif sub(reference, 1, 1) ~= "/" then full = match(base, "^(.*/)[^/]*$") or ""; full = full .. reference end
	if full == "" then return "" end
	local kept, n, last = {}, 0, ""
	for part in gmatch(full .. "/", "([^/]*)/") do
		last = part
		if part == "." then
			-- As the first segment it leaves the slash that follows it.
			if n == 0 then n = 1; kept[1] = "" end
		elseif part == ".." then
			if n > 0 then kept[n] = nil; n = n - 1 end
		else n = n + 1; kept[n] = part end
	end
	local path = "/" .. concat(kept, "/", 1, n)
	if last == "." or last == ".." then path = path .. "/" end
	return sub(path, 1, 2) == "//" and sub(path, 2) or path
end

local function resolved(base, reference)
	local url = {}
	for name, value in next, reference do url[name] = value end
	if reference.scheme == "" then url.scheme, url.no_authority = base.scheme, base.no_authority end
	if reference.scheme ~= "" or reference.host ~= "" or reference.user then
		if reference.opaque == "" then set_path(url, resolve_path(escaped_path(reference), "")) end
		return url
	end
	if reference.path == "" and reference.query == "" and not reference.force_query then
		url.query, url.force_query = base.query, base.force_query
		if reference.fragment == "" then url.fragment, url.raw_fragment = base.fragment, base.raw_fragment end
	end
	if reference.path == "" and base.opaque ~= "" then
		url.opaque = base.opaque
		return url
	end
	url.host, url.user = base.host, base.user
	set_path(url, resolve_path(escaped_path(base), escaped_path(reference)))
	return url
end

-- The text of `reference` as seen from `base`, both texts.
local function resolve(base, reference)
	local from, problem = parse(base)
	if not from then return nil, problem end
	local to
	to, problem = parse(reference)
	if not to then return nil, problem end
	-- The document has the base first, ServeMSX itself the reference.  Where only the second is
	-- absolute nothing else can be meant.
	if from.scheme == "" and to.host ~= "" and to.scheme ~= "" then from, to = to, from end
	return text_of(resolved(from, to))
end

---------------------------------------------------------------------------------- redirects

local function cleaned(path)
	local kept, n = {}, 0
	for part in gmatch(path, "[^/]+") do
		if part == ".." then if n > 0 then n = n - 1 end
		elseif part ~= "." then n = n + 1; kept[n] = part end
	end
	local clean = "/" .. concat(kept, "/", 1, n)
	return n > 0 and sub(path, -1) == "/" and clean .. "/" or clean
end

-- Where a redirect to `target` leads, seen from the request target `uri`: relative ones become
-- absolute paths, as Go's http.Redirect has it.
local function redirected(uri, target)
	local url = parse(target)
	if not url or url.scheme ~= "" or url.host ~= "" then return target end
	if sub(target, 1, 1) ~= "/" then target = (match(match(uri, "^[^?#]*"), "^(.*/)") or "/") .. target end
	local path, query = match(target, "^([^?]*)(.*)$")
	return cleaned(path) .. query
end

return {
	escape = escape, unescape = unescape, parse_query = parse_query, encode_query = encode_query,
	parse = parse, components = components, resolve = resolve, redirected = redirected,
}
