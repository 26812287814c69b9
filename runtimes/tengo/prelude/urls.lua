-- URLs as Go's net/url reads, escapes and resolves them (RFC 3986).

local T = ...

local tonumber, next = tonumber, next
local byte, sub, find, match, gmatch = string.byte, string.sub, string.find, string.match, string.gmatch
local gsub, char, format, lower = string.gsub, string.char, string.format, string.lower
local concat, quote = table.concat, T.quote

local urls = {}
T.urls = urls

---------------------------------------------------------------------------------- escapes

-- The text without its escapes, or nil and what is wrong.
local function unescape(text, plus)
	local at = find(text, "%", 1, true)
	while at do
		if not find(text, "^%x%x", at + 1) then return nil, "invalid URL escape " .. quote(sub(text, at, at + 2)) end
		at = find(text, "%", at + 1, true)
	end
	if plus then text = gsub(text, "+", " ") end
	return (gsub(text, "%%(%x%x)", function(digits) return char(tonumber(digits, 16)) end))
end
urls.unescape = unescape

local function percent(c) return format("%%%02X", byte(c)) end

function urls.escape(text, for_path)
	if for_path then return (gsub(text, "[^%w%-_%.~$&+=:@]", percent)) end
	return (gsub(gsub(text, "[^%w%-_%.~ ]", percent), " ", "+"))
end

-- The fields of a query: name -> list of values.  A pair with a semicolon or a broken escape is
-- left out, as Go's url.ParseQuery does.
function urls.parse_query(text, fields)
	for pair in gmatch(text, "[^&]+") do
		if not find(pair, ";", 1, true) then
			local name, value = match(pair, "^([^=]*)=?(.*)$")
			name, value = unescape(name, true), unescape(value, true)
			if name and value then
				local list = fields[name] or {}
				fields[name] = list
				list[#list + 1] = value
			end
		end
	end
	return fields
end

---------------------------------------------------------------------------------- parsing

local function host_problem(host)
	if sub(host, 1, 1) == "[" then
		local last = find(host, "]", 1, true)
		if not last then return "missing ']' in host" end
		if not find(sub(host, last + 1), "^:?%d*$") then return "invalid port " .. quote(sub(host, last + 1)) .. " after host" end
		return nil
	end
	local port = match(host, ":[^:]*$")
	if port and not find(port, "^:%d*$") then return "invalid port " .. quote(port) .. " after host" end
	local bad = match(host, "[ <>\"\\^`{|}]")
	if bad then return "invalid character " .. quote(bad) .. " in host name" end
	return nil
end

local function take_authority(url, authority)
	local user, host = match(authority, "^(.*)@([^@]*)$")
	host = host or authority
	local problem = host_problem(host)
	if problem then return problem end
	url.host = unescape(host) or host
	if user then
		local name, secret = match(user, "^([^:]*):?(.*)$")
		url.user, problem = unescape(name)
		if not url.user then return problem end
		url.has_user, url.pass = true, unescape(secret)
		if not url.pass then return "net/url: invalid userinfo" end
	end
end

local function take_path(url, rest)
	local path, problem = unescape(rest)
	if not path then return problem end
	url.path, url.raw_path = path, rest
end

-- Take a URL apart; nil and the text of Go's error.
function urls.parse(text)
	local url = { scheme = "", opaque = "", user = "", pass = "", host = "", path = "", raw_path = "", raw_query = "",
		fragment = "", raw_fragment = "" }
	local function wrong(problem) return nil, "parse " .. quote(text) .. ": " .. problem end
	if find(text, "[%z\1-\31\127]") then return wrong "net/url: invalid control character in URL" end
	local rest, fragment = match(text, "^([^#]*)#?(.*)$")
	url.raw_fragment = fragment
	local problem
	url.fragment, problem = unescape(fragment)
	if not url.fragment then return wrong(problem) end
	local scheme, after = match(rest, "^(%a[%w+%-.]*):(.*)$")
	if scheme then url.scheme, rest = lower(scheme), after
	elseif find(rest, "^:") then return wrong "missing protocol scheme" end
	rest, url.raw_query = match(rest, "^([^?]*)%??(.*)$")
	if sub(rest, 1, 1) ~= "/" then
		if scheme then
			url.opaque = rest
			return url
		end
		if find(match(rest, "^[^/]*"), ":", 1, true) then return wrong "first path segment in URL cannot contain colon" end
	end
	if sub(rest, 1, 2) == "//" then
		local authority
		authority, rest = match(rest, "^//([^/]*)(.*)$")
		problem = take_authority(url, authority)
		if problem then return wrong(problem) end
		url.has_host = true
	end
	problem = take_path(url, rest)
	if problem then return wrong(problem) end
	return url
end

---------------------------------------------------------------------------------- putting together

local function userinfo(url)
	if not url.has_user then return "" end
	local name = gsub(url.user, "[^%w%-_%.~$&+,;=]", percent)
	if url.pass == "" then return name .. "@" end
	return name .. ":" .. gsub(url.pass, "[^%w%-_%.~$&+,;=]", percent) .. "@"
end

function urls.text(url)
	local parts = { url.scheme ~= "" and url.scheme .. ":" or "" }
	if url.opaque ~= "" then parts[2] = url.opaque
	else
		local slashes = url.has_host and (url.scheme ~= "" or url.host ~= "") and "//" or ""
		local path = gsub(url.raw_path, "[^%w%-_%.~$&+,/:;=@!'()*%%%[%]]", percent)
		parts[2] = slashes .. userinfo(url) .. url.host .. path
	end
	if url.raw_query ~= "" then parts[#parts + 1] = "?" .. url.raw_query end
	if url.raw_fragment ~= "" then parts[#parts + 1] = "#" .. url.raw_fragment end
	return concat(parts)
end

-- A path without "." and "..".
local function without_dots(path)
	local out, last = {}, ""
	for segment in gmatch(path .. "/", "([^/]*)/") do
		last = segment
		if segment == ".." then out[#out] = nil
		elseif segment ~= "." then out[#out + 1] = segment end
	end
	if last == "." or last == ".." then out[#out + 1] = "" end
	return "/" .. (gsub(concat(out, "/"), "^/+", ""))
end

-- What the reference `ref` means on a page with the address `url`: both taken apart.
function urls.resolve(url, ref)
	local target = {}
	for key, value in next, ref do target[key] = value end
	if ref.scheme ~= "" and ref.scheme ~= url.scheme or ref.opaque ~= "" then
		if ref.opaque == "" and ref.raw_path ~= "" then target.raw_path = without_dots(ref.raw_path) end
		return target
	end
	target.scheme = url.scheme
	if ref.has_host then
		if ref.raw_path ~= "" then target.raw_path = without_dots(ref.raw_path) end
		return target
	end
	target.host, target.has_host = url.host, url.has_host
	target.user, target.pass, target.has_user = url.user, url.pass, url.has_user
	if ref.raw_path == "" then
		target.raw_path = url.raw_path
		if ref.raw_query == "" then
			target.raw_query = url.raw_query
			if ref.raw_fragment == "" then target.raw_fragment = url.raw_fragment end
		end
		if url.opaque ~= "" then target.opaque = url.opaque end
	elseif sub(ref.raw_path, 1, 1) == "/" then target.raw_path = without_dots(ref.raw_path)
	else target.raw_path = without_dots((match(url.raw_path, "^(.*/)[^/]*$") or "") .. ref.raw_path) end
	return target
end
