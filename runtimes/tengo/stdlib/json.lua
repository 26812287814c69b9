-- The module "json": Tengo's own, a Go encoding/json cut down.
--
-- Every number becomes a float, as in Tengo 2.10.0.  The keys of maps come out in order, where
-- Go's order is random.  A text is read in one pass that gives up at the first thing wrong; only
-- then json_syntax.lua looks for the words.

local T = ...

local type, setmetatable, tonumber = type, setmetatable, tonumber
local mathtype, tointeger = math.type, math.tointeger
local byte, sub, find, gsub, match = string.byte, string.sub, string.find, string.gsub, string.match
local char, format, concat, utf8len, utf8char = string.char, string.format, table.concat, utf8.len, utf8.char
local array, map_set, map_keys, base = T.array, T.map_set, T.map_keys, T.base
local map_mt = T.metatables[T.MAP]

local IMMUTABLE_ARRAY <const>, MAP <const>, IMMUTABLE_MAP <const> = 2, 3, 4
local CHAR <const>, BYTES <const>, TIME <const> = 5, 6, 8
local MAX_DEPTH <const> = T.json_max_depth

---------------------------------------------------------------------------------- decoding

-- A reader is given the text, the byte where its value begins and the depth; it returns the value
-- and the byte after it, or nil and nil when the text is no JSON.

local readers = {}

local ESCAPES <const> = {
	b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ["\\"] = "\\", ["/"] = "/", ['"'] = '"',
}

local function invalid_replaced(s)
	local runes, n = T.runes(s)
	for i = 1, n do runes[i] = utf8char(runes[i]) end
	return concat(runes, "", 1, n)
end

-- The string whose content begins at byte `i`, of which something is not plain.
local function string_with_escapes(s, i)
	local out, n = {}, 0
	while true do
		local special = find(s, '[\0-\31"\\]', i)
		if not special then return nil, nil end
		if special > i then n = n + 1; out[n] = sub(s, i, special - 1) end
		local b = byte(s, special)
		if b == 34 then
			local text = concat(out, "", 1, n)
			if not utf8len(text) then text = invalid_replaced(text) end
			return text, special + 1
		end
		if b ~= 92 then return nil, nil end
		local c = sub(s, special + 1, special + 1)
		n, i = n + 1, special + 2
		if c == "u" then
			local digits = match(s, "^%x%x%x%x", i)
			if not digits then return nil, nil end
			local code = tointeger(tonumber(digits, 16))
			i = i + 4
			if code >= 0xd800 and code <= 0xdfff then
				local second = match(s, "^\\u([dD][c-fC-F]%x%x)", i)
				if second and code < 0xdc00 then
					code = 0x10000 + (code - 0xd800 << 10) + tointeger(tonumber(second, 16)) - 0xdc00
					i = i + 6
				else code = 0xfffd end
			end
			out[n] = utf8char(code)
		else
			out[n] = ESCAPES[c]
			if not out[n] then return nil, nil end
		end
	end
end

-- What the text that is being read has anywhere, found out at once for the whole of it, so that most
-- strings need not be looked through: backslashes, bytes that are no UTF-8, control characters.
local has_backslash, has_broken, controls

local function plain(s)
	if has_backslash and find(s, "\\", 1, true) then return false end
	if controls then
		for i = 1, #controls do
			if find(s, controls[i], 1, true) then return false end
		end
	end
	return not has_broken or utf8len(s) ~= nil
end

local function look_through(s)
	has_backslash, has_broken, controls = find(s, "\\", 1, true), not utf8len(s), nil
	for code = 0, 31 do
		local c = char(code)
		if find(s, c, 1, true) then
			controls = controls or {}
			controls[#controls + 1] = c
		end
	end
end

local function read_string(s, i)
	local stop = find(s, '"', i + 1, true)
	if not stop then return nil, nil end
	local text = sub(s, i + 1, stop - 1)
	if plain(text) then return text, stop + 1 end
	return string_with_escapes(s, i + 1)
end
readers[34] = read_string

local function read_number(s, i)
	local text, stop = match(s, "^(-?[1-9]%d*)()", i)
	if not text then
		text, stop = match(s, "^(-?0)()", i)
		if not text then return nil, nil end
	end
	local b = byte(s, stop)
	if b == 46 or b == 101 or b == 69 then
		if b == 46 then
			stop = match(s, "^%d+()", stop + 1)
			if not stop then return nil, nil end
			b = byte(s, stop)
		end
		if b == 101 or b == 69 then
			stop = match(s, "^[+-]?%d+()", stop + 1)
			if not stop then return nil, nil end
		end
		text = sub(s, i, stop - 1)
	elseif text == "-0" then return -0.0, stop end
	return tonumber(text) + 0.0, stop
end
readers[45] = read_number
for digit = 48, 57 do readers[digit] = read_number end

local function word(text, value)
	readers[byte(text)] = function(s, i)
		local stop = i + #text
		if sub(s, i, stop - 1) ~= text then return nil, nil end
		return value, stop
	end
end
word("true", true)
word("false", false)
word("null", nil)

local NOT_SPACE <const> = "[^ \t\r\n]"

-- One space is common and not worth a search.
local function past_spaces(s, i)
	local b = byte(s, i + 1)
	if b > 32 then return b, i + 1 end
	i = find(s, NOT_SPACE, i + 1)
	return byte(s, i), i
end

readers[91] = function(s, i, depth)
	if depth >= MAX_DEPTH then return nil, nil end
	local list, n, b = {}, 0, byte(s, i + 1)
	i = i + 1
	if b <= 32 then b, i = past_spaces(s, i - 1) end
	if b == 93 then return array(list, 0), i + 1 end
	depth = depth + 1
	while true do
		local reader = readers[b]
		if not reader then return nil, nil end
		n = n + 1
		list[n], i = reader(s, i, depth)
		if not i then return nil, nil end
		local following
		b, following = byte(s, i, i + 1)
		if b <= 32 then
			b, i = past_spaces(s, i - 1)
			following = byte(s, i + 1)
		end
		if b ~= 44 then
			if b == 93 then return array(list, n), i + 1 end
			return nil, nil
		end
		b, i = following, i + 1
		if b <= 32 then b, i = past_spaces(s, i) end
	end
end

-- The key at byte `i`, the byte its value begins with and where; nil when the text is no JSON.
local function read_key(s, i)
	local key
	key, i = read_string(s, i)
	if not i then return nil end
	local b, following = byte(s, i, i + 1)
	if b ~= 58 then
		i = find(s, NOT_SPACE, i)
		b, following = byte(s, i, i + 1)
		if b ~= 58 then return nil end
	end
	if following > 32 then return key, following, i + 1 end
	b, i = past_spaces(s, i + 1)
	return key, b, i
end

readers[123] = function(s, i, depth)
	if depth >= MAX_DEPTH then return nil, nil end
	-- The names make room for as many keys.
	local m, count, b = { MAP, 0, false, a = nil, b = nil, c = nil, d = nil }, 0, byte(s, i + 1)
	i = i + 1
	if b <= 32 then b, i = past_spaces(s, i - 1) end
	if b == 125 then return setmetatable(m, map_mt), i + 1 end
	depth = depth + 1
	while b == 34 do
		local key, value, reader
		key, b, i = read_key(s, i)
		reader = readers[b]
		if not reader then return nil, nil end
		value, i = reader(s, i, depth)
		if not i then return nil, nil end
		if value == nil or m[3] then
			m[2] = count
			map_set(m, key, value)
			count = m[2]
		else
			if m[key] == nil then count = count + 1 end
			m[key] = value
		end
		local following
		b, following = byte(s, i, i + 1)
		if b <= 32 then
			b, i = past_spaces(s, i - 1)
			following = byte(s, i + 1)
		end
		if b ~= 44 then
			if b ~= 125 then return nil, nil end
			m[2] = count
			return setmetatable(m, map_mt), i + 1
		end
		b, i = following, i + 1
		if b <= 32 then b, i = past_spaces(s, i) end
	end
	return nil, nil
end

local function problem(s) return T.error(T.json_problem(s) or "invalid JSON") end

local function decode(s)
	-- Zero bytes at the end stand for the end of the text, so that there are always two bytes to look
	-- at; none is allowed in JSON outside of escapes.
	look_through(s)
	local text = s .. "\0\0"
	local i = find(text, NOT_SPACE)
	local reader = readers[byte(text, i)]
	if not reader then return problem(s) end
	local value, stop = reader(text, i, 0)
	if not stop or find(text, NOT_SPACE, stop) ~= #s + 1 then return problem(s) end
	return value
end

---------------------------------------------------------------------------------- encoding

local STRING_ESCAPES <const> = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }
for code = 0, 31 do
	local c = char(code)
	STRING_ESCAPES[c] = STRING_ESCAPES[c] or format("\\u%04x", code)
end

local function string_text(s)
	if not find(s, '^[^%c"\\]*$') then s = gsub(s, '[\0-\31"\\]', STRING_ESCAPES) end
	return '"' .. s .. '"'
end

-- As JavaScript writes numbers; nil for what JSON has no text for.
local function float_text(x)
	-- What is an int goes as one, and is written when the parts are joined.
	if x ~= 0 and x > -1e15 and x < 1e15 then
		local int = tointeger(x)
		if int then return int end
	end
	-- Fifteen digits are enough for most, and then they are the shortest.
	local text = format("%.15g", x)
	if tonumber(text) == x and not find(text, "e", 1, true) then return text end
	if x - x ~= 0 then return nil, "unsupported float value" end
	local size = x < 0 and -x or x
	if size ~= 0 and (size < 1e-6 or size >= 1e21) then
		return (gsub(T.format_float(x, "e", -1, 64), "e%-0(%d)$", "e-%1"))
	end
	return T.go_float(x)
end

-- RFC 3339 with the fraction of the second that there is.
local function time_text(t)
	local seconds, offset = t[2] + t[4], t[4]
	local year, month, day = T.civil(seconds // 86400)
	if year < 0 or year > 9999 then return nil, "Time.MarshalJSON: year outside of range [0,9999]" end
	local rest = seconds % 86400
	local text = format('"%04d-%02d-%02dT%02d:%02d:%02d', year, month, day, rest // 3600, rest // 60 % 60, rest % 60)
	if t[3] > 0 then text = text .. "." .. gsub(format("%09d", t[3]), "0+$", "") end
	if offset == 0 then return text .. 'Z"' end
	local minutes = (offset < 0 and -offset or offset) // 60
	return text .. format('%s%02d:%02d"', offset < 0 and "-" or "+", minutes // 60, minutes % 60)
end

local function too_deep() return T.fail("value nests too deeply, or contains itself") end

local put

local function put_array(v, out, n, depth)
	if depth > MAX_DEPTH then return too_deep() end
	local backing, offset, count, wrong = v[2], v[3], v[4], nil
	if count == 0 then out[n + 1] = "[]"; return n + 1 end
	for i = 0, count - 1 do
		out[n + 1] = i == 0 and "[" or ","
		local element = backing[offset + i]
		if mathtype(element) == "integer" then n = n + 2; out[n] = element
		elseif type(element) == "string" then n = n + 2; out[n] = string_text(element)
		else
			n, wrong = put(element, out, n + 1, depth + 1)
			if not n then return nil, wrong end
		end
	end
	out[n + 1] = "]"
	return n + 1
end

-- Keys as they are written; forgotten when they are many.
local key_texts, key_count = {}, 0

local function key_text(key)
	local text = '"' .. gsub(key, '[\0-\31"\\]', STRING_ESCAPES) .. '":'
	if #key <= 40 then
		if key_count == 1000 then key_texts, key_count = {}, 0 end
		key_texts[key], key_count = text, key_count + 1
	end
	return text
end

local function put_map(v, out, n, depth)
	if depth > MAX_DEPTH then return too_deep() end
	local keys, wrong = map_keys(v), nil
	if #keys == 0 then out[n + 1] = "{}"; return n + 1 end
	v = base(v)
	for i = 1, #keys do
		local key = keys[i]
		out[n + 1], out[n + 2] = i == 1 and "{" or ",", key_texts[key] or key_text(key)
		local value = v[key]
		if mathtype(value) == "integer" then n = n + 3; out[n] = value
		elseif type(value) == "string" then n = n + 3; out[n] = string_text(value)
		else
			n, wrong = put(value, out, n + 2, depth + 1)
			if not n then return nil, wrong end
		end
	end
	out[n + 1] = "}"
	return n + 1
end

-- Append the text of `v` to the list `out` of `n` strings: how many there are then, or nil and what
-- is wrong.  Functions and errors have no text at all, which is what Tengo makes of them.
function put(v, out, n, depth)
	local kind, text, wrong = type(v), nil, nil
	if kind == "string" then text = string_text(v)
	elseif kind == "number" then
		if mathtype(v) == "integer" then text = format("%d", v) else text, wrong = float_text(v) end
	elseif kind == "nil" then text = "null"
	elseif kind == "boolean" then text = v and "true" or "false"
	elseif kind == "table" then
		kind = v[1]
		if kind <= IMMUTABLE_ARRAY then return put_array(v, out, n, depth) end
		if kind <= IMMUTABLE_MAP then return put_map(v, out, n, depth) end
		if kind == CHAR then text = format("%d", v[2])
		elseif kind == BYTES then text = '"' .. T.base64_encode(v[2]) .. '"'
		elseif kind == TIME then text, wrong = time_text(v)
		else return n end
	else return n end
	if not text then return nil, wrong end
	out[n + 1] = text
	return n + 1
end

local function encode(v)
	local out = {}
	local n, wrong = put(v, out, 0, 1)
	if not n then return T.error(wrong) end
	return T.bytes(concat(out, "", 1, n))
end

---------------------------------------------------------------------------------- the module

local function content(v)
	if type(v) == "string" then return v end
	if type(v) == "table" and v[1] == BYTES then return v[2] end
	return T.bad_argument(nil, "first", "bytes/string", v)
end

local function text_argument(v, which)
	local s = T.to_string(v)
	if not s then return T.bad_argument(nil, which, "string(compatible)", v) end
	return s
end

local function indent(v, prefix, by)
	prefix, by = text_argument(prefix, "prefix"), text_argument(by, "indent")
	local s = content(v)
	local wrong = T.json_problem(s)
	if wrong then return T.error(wrong) end
	return T.bytes(T.json_indented(s, prefix, by))
end

local function taking(count, f)
	return T.user_function(function(n, ...)
		if n ~= count then return T.wrong_arguments() end
		return f(...)
	end)
end

return {
	decode = taking(1, function(v) return decode(content(v)) end),
	encode = taking(1, encode),
	indent = taking(3, indent),
	html_escape = taking(1, function(v) return T.bytes(T.json_html_escaped(content(v))) end),
}
