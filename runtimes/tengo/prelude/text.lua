-- Tengo's conversions: values to text as Go prints them, and text to numbers as strconv reads it.

local T = ...

local type, tostring, tonumber, rawequal = type, tostring, tonumber, rawequal
local mathtype, tointeger, floor = math.type, math.tointeger, math.floor
local byte, char, sub, rep, find = string.byte, string.char, string.sub, string.rep, string.find
local match, gsub, format, lower = string.match, string.gsub, string.format, string.lower
local concat, utf8char = table.concat, utf8.char
local fail, base, map_keys = T.fail, T.base, T.map_keys

local ARRAY <const>, IMMUTABLE_ARRAY <const>, MAP <const>, IMMUTABLE_MAP <const> = 1, 2, 3, 4
local CHAR <const>, BYTES <const>, ERROR <const>, TIME <const> = 5, 6, 7, 8
-- Values that contain themselves have no text; deeper than this is taken for one.
local MAX_DEPTH <const> = 10000

---------------------------------------------------------------------------------- floats

-- The shortest decimal digits that read back as `x` (positive, finite), and the exponent such
-- that x = 0.DIGITS * 10^exponent.
local function shortest(x)
	local text
	-- Below the normal range, fewer than 15 digits may be all the precision there is.
	for precision = x < 2.3e-308 and 1 or 15, 17 do
		text = format("%." .. precision .. "g", x)
		if tonumber(text) == x then break end
	end
	local mantissa, exponent = match(text, "^([^e]+)e?(.*)$")
	local whole, part = match(mantissa, "^(%d+)%.?(%d*)$")
	local digits = whole .. part
	local point = #whole + (tointeger(tonumber(exponent)) or 0)
	local zeros = #match(digits, "^0*")
	digits, point = sub(digits, zeros + 1), point - zeros
	return (gsub(digits, "0+$", "")), point
end
T.shortest_digits = shortest

-- Go's strconv.FormatFloat(x, 'f', -1, 64).
local function go_float(x)
	if x ~= x then return "NaN" end
	if x == 1 / 0 then return "+Inf" end
	if x == -1 / 0 then return "-Inf" end
	if x == 0 then return 1 / x < 0 and "-0" or "0" end
	if floor(x) == x and x > -1e15 and x < 1e15 then return format("%d", x) end
	local sign = ""
	if x < 0 then sign, x = "-", -x end
	local digits, point = shortest(x)
	if point <= 0 then return sign .. "0." .. rep("0", -point) .. digits end
	if point >= #digits then return sign .. digits .. rep("0", point - #digits) end
	return sign .. sub(digits, 1, point) .. "." .. sub(digits, point + 1)
end
T.go_float = go_float

---------------------------------------------------------------------------------- runes

-- The UTF-8 form of a code point as Go writes it: U+FFFD for what is none.
local function rune_text(code)
	if code < 0 or code > 0x10ffff or (code >= 0xd800 and code <= 0xdfff) then return "\xef\xbf\xbd" end
	return utf8char(code)
end
T.rune_text = rune_text

-- The rune at byte `i` and its length, as Go's utf8.DecodeRune: (0xfffd, 1) for a broken one.
local function rune_at(s, i)
	local a = byte(s, i)
	if a < 0x80 then return a, 1 end
	if a < 0xc2 or a > 0xf4 then return 0xfffd, 1 end
	local b = byte(s, i + 1)
	if not b or b < 0x80 or b > 0xbf then return 0xfffd, 1 end
	if a < 0xe0 then return (a & 0x1f) << 6 | b & 0x3f, 2 end
	if a == 0xe0 and b < 0xa0 or a == 0xed and b > 0x9f or a == 0xf0 and b < 0x90 or a == 0xf4 and b > 0x8f then
		return 0xfffd, 1
	end
	local c = byte(s, i + 2)
	if not c or c < 0x80 or c > 0xbf then return 0xfffd, 1 end
	if a < 0xf0 then return (a & 0xf) << 12 | (b & 0x3f) << 6 | c & 0x3f, 3 end
	local d = byte(s, i + 3)
	if not d or d < 0x80 or d > 0xbf then return 0xfffd, 1 end
	return (a & 7) << 18 | (b & 0x3f) << 12 | (c & 0x3f) << 6 | d & 0x3f, 4
end
T.rune_at = rune_at

-- The code points of a string as Go's []rune(s), and their number.
function T.runes(s)
	local runes, n, i, length = {}, 0, 1, #s
	while i <= length do
		local b = byte(s, i)
		n = n + 1
		if b < 0x80 then runes[n] = b; i = i + 1
		else
			local size
			runes[n], size = rune_at(s, i)
			i = i + size
		end
	end
	return runes, n
end

-- Code points that Go does not print as they are: pairs first, last in order.  Filled at creation
-- by the Python side (T.set_unprintable); until then everything from U+00A1 is printable.
local unprintable = { 0x7f, 0xa0 }
function T.set_unprintable(list)
	unprintable = {}
	for number in string.gmatch(list, "%d+") do unprintable[#unprintable + 1] = tointeger(number) end
end

local function printable(code)
	local low, high = 1, #unprintable // 2
	while low <= high do
		local middle = (low + high) // 2
		if code < unprintable[middle * 2 - 1] then high = middle - 1
		elseif code > unprintable[middle * 2] then low = middle + 1
		else return false end
	end
	return code >= 32
end
T.is_printable = printable

local ESCAPES <const> = {
	[7] = "\\a", [8] = "\\b", [9] = "\\t", [10] = "\\n", [11] = "\\v", [12] = "\\f", [13] = "\\r",
	[34] = '\\"', [92] = "\\\\",
}

-- Go's strconv.Quote.
local function quote(s)
	if not find(s, '[^ !#-%[%]-~]') then return '"' .. s .. '"' end
	local out, n, i, length = { '"' }, 1, 1, #s
	while i <= length do
		local code, size = rune_at(s, i)
		n = n + 1
		if ESCAPES[code] then out[n] = ESCAPES[code]
		elseif code == 0xfffd and size == 1 then out[n] = format("\\x%02x", byte(s, i))
		elseif printable(code) then out[n] = sub(s, i, i + size - 1)
		elseif code < 0x80 then out[n] = format("\\x%02x", code)
		elseif code < 0x10000 then out[n] = format("\\u%04x", code)
		else out[n] = format("\\U%08x", code) end
		i = i + size
	end
	out[n + 1] = '"'
	return concat(out)
end
T.quote = quote

---------------------------------------------------------------------------------- time

-- Year, month and day of a day number counted from 1970-01-01, in the Gregorian calendar.
local function civil(day)
	day = day + 719468
	local era = day // 146097
	local of_era = day - era * 146097
	local year = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
	local of_year = of_era - (365 * year + year // 4 - year // 100)
	local month = (5 * of_year + 2) // 153
	local date = of_year - (153 * month + 2) // 5 + 1
	month = month < 10 and month + 3 or month - 9
	return year + era * 400 + (month <= 2 and 1 or 0), month, date
end
T.civil = civil

-- Go's Time.String().
local function time_text(t)
	local seconds, offset = t[2] + t[4], t[4]
	local year, month, date = civil(seconds // 86400)
	local of_day = seconds % 86400
	local text = format("%s%04d-%02d-%02d %02d:%02d:%02d", year < 0 and "-" or "", year < 0 and -year or year, month,
		date, of_day // 3600, of_day // 60 % 60, of_day % 60)
	if t[3] > 0 then text = text .. "." .. gsub(format("%09d", t[3]), "0+$", "") end
	local minutes = (offset < 0 and -offset or offset) // 60
	local sign = offset < 0 and "-" or "+"
	text = text .. format(" %s%02d%02d ", sign, minutes // 60, minutes % 60)
	if t[5] ~= "" then return text .. t[5] end
	return text .. sign .. format("%02d", minutes // 60) .. (minutes % 60 > 0 and format("%02d", minutes % 60) or "")
end

---------------------------------------------------------------------------------- any value

local put

local function put_array(v, out, n, depth)
	if depth > MAX_DEPTH then fail("value nests too deeply, or contains itself") end
	local backing, offset = v[2], v[3]
	n = n + 1
	out[n] = "["
	for i = 0, v[4] - 1 do
		if i > 0 then n = n + 1; out[n] = ", " end
		n = put(backing[offset + i], out, n, depth + 1)
	end
	out[n + 1] = "]"
	return n + 1
end

local function put_map(v, out, n, depth)
	if depth > MAX_DEPTH then fail("value nests too deeply, or contains itself") end
	v = base(v)
	local keys = map_keys(v)
	n = n + 1
	out[n] = "{"
	for i = 1, #keys do
		local key = keys[i]
		if i > 1 then n = n + 1; out[n] = ", " end
		out[n + 1], out[n + 2] = key, ": "
		n = put(v[key], out, n + 2, depth + 1)
	end
	out[n + 1] = "}"
	return n + 1
end

-- Append the text of `v` as it looks inside an array to the list `out` of `n` strings.
function put(v, out, n, depth)
	local kind = type(v)
	if kind == "table" then
		kind = v[1]
		if kind <= IMMUTABLE_ARRAY then return put_array(v, out, n, depth) end
		if kind <= IMMUTABLE_MAP then return put_map(v, out, n, depth) end
		if kind == ERROR then
			out[n + 1] = "error: "
			if depth > MAX_DEPTH then fail("value nests too deeply, or contains itself") end
			return put(v[2], out, n + 1, depth + 1)
		end
		if kind == CHAR then out[n + 1] = rune_text(v[2])
		elseif kind == BYTES then out[n + 1] = v[2]
		else out[n + 1] = time_text(v) end
	elseif kind == "string" then out[n + 1] = quote(v)
	elseif kind == "number" then
		out[n + 1] = mathtype(v) == "integer" and format("%d", v) or go_float(v)
	elseif kind == "nil" then out[n + 1] = "<undefined>"
	elseif kind == "boolean" then out[n + 1] = v and "true" or "false"
	elseif T.builtin_names[v] then out[n + 1] = "<builtin-function>"
	elseif T.user_names[v] then out[n + 1] = "<user-function>"
	else out[n + 1] = "<compiled-function>" end
	return n + 1
end

-- What `v` looks like inside an array: strings are quoted.
local function show(v)
	local out = {}
	local n = put(v, out, 0, 1)
	if n == 1 then return out[1] end
	return concat(out, "", 1, n)
end
T.show = show

-- What string(v) gives, and "<undefined>".
function T.text(v)
	local kind = v[1]
	if not kind then
		if type(v) == "string" then return v end
		if mathtype(v) == "integer" then return format("%d", v) end
	elseif kind == CHAR then
		local found = v[3]
		if not found then
			found = rune_text(v[2])
			v[3] = found
		end
		return found
	end
	return show(v)
end

---------------------------------------------------------------------------------- text to numbers

-- Go's strconv.ParseInt(s, 10, 64): an int, or nil and what is wrong, "syntax" or "range".
function T.parse_int(s)
	local sign, digits = match(s, "^([+-]?)(%d+)$")
	if not digits then return nil, "syntax" end
	digits = gsub(digits, "^0+", "")
	if #digits > 19 or #digits == 19 and digits > (sign == "-" and "9223372036854775808" or "9223372036854775807") then
		return nil, "range"
	end
	if sign == "-" and digits == "9223372036854775808" then return math.mininteger end
	local value = tointeger(tonumber(digits == "" and "0" or digits))
	return sign == "-" and -value or value
end

local NAMED <const> = {
	inf = 1 / 0, infinity = 1 / 0, ["+inf"] = 1 / 0, ["+infinity"] = 1 / 0,
	["-inf"] = -1 / 0, ["-infinity"] = -1 / 0, nan = 0 / 0,
}

-- Go's strconv.ParseFloat(s, 64), without underscores (it takes them only with a base prefix): a
-- float, or nil and what is wrong, "syntax" or "range".
function T.parse_float(s)
	local named = NAMED[lower(s)]
	if named then return named end
	local sign, body = match(s, "^([+-]?)(.*)$")
	local ok
	if find(body, "^0[xX]") then
		-- Go wants the binary exponent of a hexadecimal float.
		ok = find(body, "^0[xX]%x+%.?%x*[pP][+-]?%d+$") or find(body, "^0[xX]%.%x+[pP][+-]?%d+$")
	else
		ok = find(body, "^%d+%.?%d*$") or find(body, "^%.%d+$")
			or find(body, "^%d+%.?%d*[eE][+-]?%d+$") or find(body, "^%.%d+[eE][+-]?%d+$")
	end
	if not ok then return nil, "syntax" end
	local value = tonumber(body)
	if not value then return nil, "syntax" end
	value = value + 0.0
	if mathtype(tonumber(body)) == "integer" and #body > 15 then value = tonumber(body .. ".0") end
	if value == 1 / 0 then return nil, "range" end
	return sign == "-" and -value or value
end

---------------------------------------------------------------------------------- conversions

-- A float as Go's int64(f) on amd64: towards zero; min for what does not fit.
local function truncated(x)
	if x ~= x or x >= 0x1p63 or x < -0x1p63 then return math.mininteger end
	return tointeger(x < 0 and math.ceil(x) or floor(x))
end
T.truncated = truncated

function T.to_int(v)
	local kind = type(v)
	if kind == "number" then return mathtype(v) == "integer" and v or truncated(v) end
	if kind == "string" then return (T.parse_int(v)) end
	if kind == "boolean" then return v and 1 or 0 end
	if kind == "table" and v[1] == CHAR then return v[2] end
	return nil
end

function T.to_float(v)
	local kind = type(v)
	if kind == "number" then return v + 0.0 end
	if kind == "string" then return (T.parse_float(v)) end
	return nil
end

function T.to_string(v)
	if v == nil then return nil end
	return T.text(v)
end

-- The content as a Lua string, or nil.
function T.to_bytes(v)
	if type(v) == "string" then return v end
	if type(v) == "table" and v[1] == BYTES then return v[2] end
	return nil
end

function T.to_bool(v) return T.truthy(v) end

-- The code point, or nil.
function T.to_char(v)
	if mathtype(v) == "integer" then return T.char(v)[2] end
	if type(v) == "table" and v[1] == CHAR then return v[2] end
	return nil
end

-- A time value, or nil.
function T.to_time(v)
	if mathtype(v) == "integer" then return T.time(v, 0, 0, "UTC") end
	if type(v) == "table" and v[1] == TIME then return v end
	return nil
end
