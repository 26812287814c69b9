-- The module "text": Go's strings and strconv.
--
-- Two slips of Tengo 2.10.0 that show in messages are kept: functions that split name a bad second
-- argument "first", and functions that give an index say the first argument's type for it.

local T = ...

local type, next = type, next
local mathtype = math.type
local byte, sub, rep, find, gsub = string.byte, string.sub, string.rep, string.find, string.gsub
local gmatch, lower, upper, reverse = string.gmatch, string.lower, string.upper, string.reverse
local concat, utf8len = table.concat, utf8.len
local rune_at, quote, to_string, to_int = T.rune_at, T.quote, T.to_string, T.to_int
local bad_argument, wrong_arguments = T.bad_argument, T.wrong_arguments

local MAX_LENGTH <const> = 2147483647

local function text_argument(v, which, blamed)
	if type(v) == "string" then return v end
	local s = to_string(v)
	if s then return s end
	return bad_argument(nil, which, "string(compatible)", blamed)
end

local function int_argument(v, which)
	local i = to_int(v)
	if i then return i end
	return bad_argument(nil, which, "int(compatible)", v)
end

local function too_long() return T.fail("exceeding string size limit") end
-- As many runes as bytes: counting is faster than matching a pattern.
local function is_ascii(s) return utf8len(s) == #s end
-- A character class of the bytes of `s`, for find.
local function class(s, negated) return (negated and "[^" or "[") .. gsub(s, "%W", "%%%0") .. "]" end

local text = {}

---------------------------------------------------------------------------------- runes

local function rune_count(s)
	local count = utf8len(s)
	if not count then _, count = T.runes(s) end
	return count
end

-- The runes of `s` as the keys of a table.
local function rune_set(s)
	local set, runes = {}, T.runes(s)
	for i = 1, #runes do set[runes[i]] = true end
	return set
end

-- The rune that ends at byte `j`, and its length.
local function rune_before(s, j)
	if byte(s, j) < 0x80 then return byte(s, j), 1 end
	for size = 2, j < 4 and j or 4 do
		local code, length = rune_at(s, j - size + 1)
		if length == size then return code, size end
	end
	return 0xfffd, 1
end

-- The first byte of `s` (from `i` on) that is not of a rune in the set, and the last one.
local function first_outside(s, i, set)
	while i <= #s do
		local code, size = rune_at(s, i)
		if not set[code] then return i end
		i = i + size
	end
	return i
end

local function last_outside(s, j, set)
	while j >= 1 do
		local code, size = rune_before(s, j)
		if not set[code] then return j end
		j = j - size
	end
	return j
end

local SPACES <const> = {}
for _, code in next, { 9, 10, 11, 12, 13, 32, 0x85, 0xa0, 0x1680, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000 } do
	SPACES[code] = true
end
for code = 0x2000, 0x200a do SPACES[code] = true end

---------------------------------------------------------------------------------- pieces

local function strings(list, n) return T.array(list, n) end

-- The runes of `s` as strings, `limit` at most; the last has all the rest.
local function explode(s, limit)
	local list, n, i = {}, 0, 1
	while i <= #s do
		n = n + 1
		if n == limit then list[n] = sub(s, i); break end
		local _, size = rune_at(s, i)
		list[n] = sub(s, i, i + size - 1)
		i = i + size
	end
	return strings(list, n)
end

-- Go's SplitN and SplitAfterN; with `kept` the separators stay at the ends.
local function pieces(s, separator, limit, kept)
	if limit == 0 then return strings({}, 0) end
	if separator == "" then return explode(s, limit) end
	local list, n, i, length = {}, 0, 1, #separator
	while n ~= limit - 1 do
		local at = find(s, separator, i, true)
		if not at then break end
		n = n + 1
		list[n] = sub(s, i, kept and at + length - 1 or at - 1)
		i = at + length
	end
	list[n + 1] = sub(s, i)
	return strings(list, n + 1)
end

local function split(s, separator) return pieces(s, separator, -1) end
local function split_after(s, separator) return pieces(s, separator, -1, true) end

-- The white space beyond ASCII by the bytes it is made of.
local WIDE_SPACES <const> = { "\xc2[\x85\xa0]", "\xe1\x9a\x80", "\xe2\x80[\x80-\x8a\xa8\xa9\xaf]", "\xe2\x81\x9f", "\xe3\x80\x80" }

local function fields(s)
	if find(s, "[\xc2\xe1-\xe3]") then
		for i = 1, #WIDE_SPACES do s = gsub(s, WIDE_SPACES[i], " ") end
	end
	local list, n = {}, 0
	for word in gmatch(s, "[^ \t-\r]+") do n = n + 1; list[n] = word end
	return strings(list, n)
end

---------------------------------------------------------------------------------- searching

local function contains(s, part) return find(s, part, 1, true) ~= nil end

local function index(s, part)
	local at = find(s, part, 1, true)
	return at and at - 1 or -1
end

local function last_index(s, part)
	local _, stop = find(reverse(s), reverse(part), 1, true)
	return stop and #s - stop or -1
end

local function index_any(s, chars)
	if chars == "" then return -1 end
	if is_ascii(chars) then
		local at = find(s, class(chars))
		return at and at - 1 or -1
	end
	local set, i = rune_set(chars), 1
	while i <= #s do
		local code, size = rune_at(s, i)
		if set[code] then return i - 1 end
		i = i + size
	end
	return -1
end

local function last_index_any(s, chars)
	local set, j = rune_set(chars), #s
	while j >= 1 do
		local code, size = rune_before(s, j)
		j = j - size
		if set[code] then return j end
	end
	return -1
end

local function count(s, part)
	if part == "" then return rune_count(s) + 1 end
	local n, at, stop = 0, find(s, part, 1, true)
	while at do
		n = n + 1
		at, stop = find(s, part, stop + 1, true)
	end
	return n
end

local function has_prefix(s, prefix) return sub(s, 1, #prefix) == prefix end
local function has_suffix(s, suffix) return suffix == "" or sub(s, -#suffix) == suffix end

local function compare(a, b) return a == b and 0 or a < b and -1 or 1 end

local function equal_fold(a, b)
	if is_ascii(a) and is_ascii(b) then return lower(a) == lower(b) end
	return T.service("equal_fold", a, b)
end

---------------------------------------------------------------------------------- changing

local function to_lower(s) return is_ascii(s) and lower(s) or T.service("to_lower", s) end
local function to_upper(s) return is_ascii(s) and upper(s) or T.service("to_upper", s) end
local function to_title(s) return is_ascii(s) and upper(s) or T.service("to_title", s) end
local function capital(first, rest) return upper(first) .. rest end
local function title(s)
	if not is_ascii(s) then return T.service("title", s) end
	return (gsub(s, "([%w_])([%w_]*)", capital))
end

local function trim_left(s, cutset)
	if s == "" or cutset == "" then return s end
	return sub(s, first_outside(s, 1, rune_set(cutset)))
end

local function trim_right(s, cutset)
	if s == "" or cutset == "" then return s end
	return sub(s, 1, last_outside(s, #s, rune_set(cutset)))
end

local function trim(s, cutset) return trim_right(trim_left(s, cutset), cutset) end

local function trim_space(s)
	local a, z = byte(s, 1, 1), byte(s, -1)
	if a and a > 32 and a < 127 and z > 32 and z < 127 then return s end
	local first = first_outside(s, 1, SPACES)
	if first > #s then return "" end
	return sub(s, first, last_outside(s, #s, SPACES))
end

local function trim_prefix(s, prefix) return has_prefix(s, prefix) and sub(s, #prefix + 1) or s end
local function trim_suffix(s, suffix)
	return suffix ~= "" and has_suffix(s, suffix) and sub(s, 1, -#suffix - 1) or s
end

local function replace(s, old, new, limit)
	if old == new or limit == 0 then return s end
	local out, n, i, done = {}, 0, 1, 0
	while done ~= limit do
		local at = i
		if old ~= "" then
			at = find(s, old, i, true)
			if not at then break end
		elseif done > 0 then
			if i > #s then break end
			local _, size = rune_at(s, i)
			at = i + size
		end
		out[n + 1], out[n + 2] = sub(s, i, at - 1), new
		n, i, done = n + 2, at + #old, done + 1
	end
	if done == 0 then return s end
	if #s + done * (#new - #old) > MAX_LENGTH then return too_long() end
	out[n + 1] = sub(s, i)
	return concat(out)
end

---------------------------------------------------------------------------------- the functions

-- By the forms of their arguments.
local ONE <const> = { fields = fields, title = title, to_lower = to_lower, to_title = to_title,
	to_upper = to_upper, trim_space = trim_space, quote = quote }
local TWO <const> = { contains = contains, equal_fold = equal_fold, has_prefix = has_prefix,
	has_suffix = has_suffix, trim = trim, trim_left = trim_left, trim_right = trim_right,
	trim_prefix = trim_prefix, trim_suffix = trim_suffix, split = split, split_after = split_after,
	compare = compare, count = count, index = index, index_any = index_any, last_index = last_index,
	last_index_any = last_index_any, contains_any = function(s, chars) return index_any(s, chars) >= 0 end }
local NAMED_FIRST <const> = { split = true, split_after = true }
local BLAMED_ON_FIRST <const> = { compare = true, count = true, index = true, index_any = true,
	last_index = true, last_index_any = true }

-- For calls whose arguments are strings for certain (library_types.py).
local quick = {}
T.quick.text = quick
for name, f in next, ONE do
	quick[name] = f
	text[name] = function(n, s)
		if n == 1 and type(s) == "string" then return f(s) end
		if n ~= 1 then return wrong_arguments() end
		return f(text_argument(s, "first", s))
	end
end

for name, f in next, TWO do
	quick[name] = f
	local which, blamed = NAMED_FIRST[name] and "first" or "second", BLAMED_ON_FIRST[name]
	text[name] = function(n, a, b)
		if n == 2 and type(a) == "string" and type(b) == "string" then return f(a, b) end
		if n ~= 2 then return wrong_arguments() end
		local s = text_argument(a, "first", a)
		return f(s, text_argument(b, which, blamed and a or b))
	end
end

for name, kept in next, { split_n = false, split_after_n = true } do
	text[name] = function(n, a, b, c)
		if n ~= 3 then return wrong_arguments() end
		a, b = text_argument(a, "first", a), text_argument(b, "second", b)
		return pieces(a, b, int_argument(c, "third"), kept)
	end
end

function text.join(n, list, separator)
	if n ~= 2 then return wrong_arguments() end
	if not T.is_array(list) then return bad_argument(nil, "first", "array", list) end
	local out, backing, offset, length = {}, list[2], list[3], list[4]
	for i = 0, length - 1 do
		local v = backing[offset + i]
		out[i + 1] = type(v) == "string" and v or text_argument(v, "first[" .. i .. "]", v)
	end
	return concat(out, text_argument(separator, "second", separator))
end

text["repeat"] = function(n, s, times)
	if n ~= 2 then return wrong_arguments() end
	s, times = text_argument(s, "first", s), int_argument(times, "second")
	if times < 0 then return T.fail("strings: negative Repeat count") end
	if s == "" then return "" end
	if times > MAX_LENGTH // #s then return too_long() end
	return rep(s, times)
end

function text.replace(n, s, old, new, limit)
	if n ~= 4 then return wrong_arguments() end
	s, old = text_argument(s, "first", s), text_argument(old, "second", old)
	new = text_argument(new, "third", new)
	return replace(s, old, new, int_argument(limit, "fourth"))
end

function text.substr(n, s, low, high)
	if n ~= 2 and n ~= 3 then return wrong_arguments() end
	s, low = text_argument(s, "first", s), int_argument(low, "second")
	high = n == 3 and int_argument(high, "third") or n == 2 and #s
	if low > high then return T.fail("invalid index type") end
	return sub(s, (low < 0 and 0 or low) + 1, high < 0 and 0 or high)
end

-- Text is filled up by bytes; the filling may come out too short for the width when it has more
-- than one byte, which kills the original.
local function padding(n, s, width, filling)
	if n ~= 2 and n ~= 3 then return wrong_arguments() end
	s, width = text_argument(s, "first", s), int_argument(width, "second")
	if width > MAX_LENGTH then return too_long() end
	if #s >= width then return s end
	filling = n == 3 and text_argument(filling, "third", filling) or n == 2 and " "
	if filling == "" then return s end
	return s, width, rep(filling, width < #filling and 1 or width // #filling)
end

function text.pad_left(n, s, width, filling)
	s, width, filling = padding(n, s, width, filling)
	if not filling then return s end
	s = filling .. s
	local from = #s - width
	if from < 0 then return T.fail("runtime error: slice bounds out of range [" .. from .. ":]") end
	return sub(s, from + 1)
end

function text.pad_right(n, s, width, filling)
	s, width, filling = padding(n, s, width, filling)
	if not filling then return s end
	s = s .. filling
	if #s < width then
		return T.fail("runtime error: slice bounds out of range [:" .. width .. "] with length " .. #s)
	end
	return sub(s, 1, width)
end

---------------------------------------------------------------------------------- numbers

local function problem(name, s, what)
	return "strconv." .. name .. ": parsing " .. quote(s) .. ": " .. what
end

local WORDS <const> = { syntax = "invalid syntax", range = "value out of range" }
function text.atoi(n, s)
	if n ~= 1 then return wrong_arguments() end
	s = text_argument(s, "first", s)
	local value, what = T.parse_int(s)
	return value or T.error(problem("Atoi", s, WORDS[what]))
end

function text.itoa(n, i)
	if n ~= 1 then return wrong_arguments() end
	return T.format_int(int_argument(i, "first"), 10)
end

function text.format_bool(n, b)
	if n ~= 1 then return wrong_arguments() end
	if type(b) ~= "boolean" then return bad_argument(nil, "first", "bool", b) end
	return b and "true" or "false"
end

function text.format_float(n, x, verb, precision, bits)
	if n ~= 4 then return wrong_arguments() end
	if mathtype(x) ~= "float" then return bad_argument(nil, "first", "float", x) end
	verb, precision = text_argument(verb, "second", verb), int_argument(precision, "third")
	bits = int_argument(bits, "fourth")
	if verb == "" then return T.fail("runtime error: index out of range [0] with length 0") end
	if bits ~= 32 and bits ~= 64 then return T.fail("strconv: illegal AppendFloat/FormatFloat bitSize") end
	if precision > MAX_LENGTH then return too_long() end
	return T.format_float(x, sub(verb, 1, 1), precision, bits)
end

function text.format_int(n, i, base)
	if n ~= 2 then return wrong_arguments() end
	if mathtype(i) ~= "integer" then return bad_argument(nil, "first", "int", i) end
	base = int_argument(base, "second")
	if base < 2 or base > 36 then return T.fail("strconv: illegal AppendInt/FormatInt base") end
	return T.format_int(i, base)
end

-- What these three cannot read is a runtime error, unlike what atoi and unquote cannot.

function text.parse_bool(n, s)
	if n ~= 1 then return wrong_arguments() end
	if type(s) ~= "string" then return bad_argument(nil, "first", "string", s) end
	local value = T.parse_bool(s)
	if value == nil then return T.fail(problem("ParseBool", s, WORDS.syntax)) end
	return value
end

function text.parse_float(n, s, bits)
	if n ~= 2 then return wrong_arguments() end
	if type(s) ~= "string" then return bad_argument(nil, "first", "string", s) end
	bits = int_argument(bits, "second")
	local value, what = T.parse_float(s)
	if value and bits == 32 and value - value == 0 then
		value = T.single(value)
		if value - value ~= 0 then value, what = nil, "range" end
	end
	if not value then return T.fail(problem("ParseFloat", s, WORDS[what])) end
	return value
end

function text.parse_int(n, s, base, bits)
	if n ~= 3 then return wrong_arguments() end
	if type(s) ~= "string" then return bad_argument(nil, "first", "string", s) end
	base, bits = int_argument(base, "second"), int_argument(bits, "third")
	local value, what = T.parse_int_base(s, base, bits)
	if not value then return T.fail(problem("ParseInt", s, what)) end
	return value
end

function text.unquote(n, s)
	if n ~= 1 then return wrong_arguments() end
	return T.unquote(text_argument(s, "first", s)) or T.error("invalid syntax")
end

for name, f in next, T.regexp_functions do text[name] = f end
for _, f in next, text do T.user_function(f) end

return text
