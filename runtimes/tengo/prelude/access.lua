-- Reading, writing, slicing and iterating: what `x[i]`, `x[i] = v`, `x[a:b]` and `for in` call.

local T = ...

local type, setmetatable, select = type, setmetatable, select
local mathtype, byte, sub = math.type, string.byte, string.sub
local fail, text, type_name, chars, char = T.fail, T.text, T.type_name, T.chars, T.char
local base, map_set, keys_of, runes = T.base, T.map_set, T.keys_of, T.runes
local array_mt = T.metatables[1]

local ARRAY <const>, IMMUTABLE_ARRAY <const>, MAP <const>, IMMUTABLE_MAP <const> = 1, 2, 3, 4
local CHAR <const>, BYTES <const>, ERROR <const>, TIME <const> = 5, 6, 7, 8
local STRING <const>, NIL <const> = 11, 13
local MIN <const> = math.mininteger

---------------------------------------------------------------------------------- strings

-- s[i] counts runes.  A string that is indexed more than once is taken apart once; the last two
-- such strings are remembered, as lists of characters.
local seen, known, known_chars, known_count = "", "", {}, 0
local other, other_chars, other_count = "", {}, 0

local function take_apart(s)
	local list, n = runes(s)
	for i = 1, n do
		local code = list[i]
		list[i] = chars[code] or char(code)
	end
	return list, n
end

local function string_get(s, i)
	if s == known then
		if i < 0 or i >= known_count then return nil end
		return known_chars[i + 1]
	end
	if i < 0 or i >= #s then return nil end
	if s == other then
		known, known_chars, known_count, other, other_chars, other_count =
			other, other_chars, other_count, known, known_chars, known_count
		return string_get(s, i)
	end
	-- The first look at a string that starts in ASCII does not pay for the whole of it.
	if s ~= seen and i < 16 then
		seen = s
		local plain = true
		for k = 1, i + 1 do
			if byte(s, k) > 127 then plain = false; break end
		end
		if plain then return chars[byte(s, i + 1)] end
	end
	other, other_chars, other_count = known, known_chars, known_count
	known = s
	known_chars, known_count = take_apart(s)
	return string_get(s, i)
end

function T.forget_strings()
	seen, known, known_chars, known_count = "", "", {}, 0
	other, other_chars, other_count = "", {}, 0
end

---------------------------------------------------------------------------------- x[i]

local function bad_index(i) return fail("invalid index type: " .. type_name(i)) end

local function map_key(i)
	if i == nil then return bad_index(i) end
	return text(i)
end

-- Everything but arrays and maps: `problem` says what follows "not indexable: ".
local function read_other(x, i, named)
	local kind = x and x[1]
	if kind == ERROR then
		if i == "value" then return x[2] end
		return fail("invalid index on error")
	end
	local is_string = type(x) == "string"
	if is_string or kind == BYTES then
		if mathtype(i) ~= "integer" then return bad_index(i) end
		if is_string then return string_get(x, i) end
		if i < 0 then return nil end
		return (byte(x[2], i + 1))
	end
	if x == nil then return nil end
	return fail("not indexable: " .. type_name(named))
end

-- x[i] for any values.
local function idx(x, i)
	local kind = x[1]
	if kind == 1 or kind == 2 then
		-- An int within the bounds, by tests that fail for no type (see operators.lua).
		if -i <= 0 and i < x[4] and i - MIN < 0 then return x[2][x[3] + i] end
		if mathtype(i) == "integer" then return nil end
		return bad_index(i)
	end
	if kind == 3 or kind == 4 then
		if i[0] == STRING then return x[i] end
		return x[map_key(i)]
	end
	return read_other(x, i, i)
end
T.idx = idx

-- x[i] where `i` is known to be an int.
function T.idx_int(x, i)
	if x == known then
		if i >= 0 and i < known_count then return known_chars[i + 1] end
		return nil
	end
	local kind = x[1]
	if kind == 1 or kind == 2 then
		if i >= 0 and i < x[4] then return x[2][x[3] + i] end
		return nil
	end
	if x[0] == STRING then return string_get(x, i) end
	return idx(x, i)
end

-- The parts of an array for a loop that reads its elements: the list, where the array starts in
-- it, and the length.  Nothing is within the length of all else, so that `idx_int` gets to say.
local NOTHING <const> = {}
function T.open(x)
	local kind = x[1]
	if kind == 1 or kind == 2 then return x[2], x[3], x[4] end
	return NOTHING, 0, 0
end

-- The same for a loop that writes elements too.
function T.open_to_write(x)
	if x[1] == 1 then return x[2], x[3], x[4] end
	return NOTHING, 0, 0
end

-- The step to x[i] inside an assignment to x[i][j]: only the message is another.
function T.walk(x, i)
	local kind = x and x[1]
	if kind and kind <= IMMUTABLE_MAP then return idx(x, i) end
	return read_other(x, i, x)
end

---------------------------------------------------------------------------------- x[i] = v

local function set_other(x, i, v)
	local kind = x and x[1]
	if kind == ARRAY then
		local at = T.to_int(i)
		if not at then return fail("invalid index type") end
		if at < 0 or at >= x[4] then return fail("index out of bounds") end
		x[2][x[3] + at] = v
		return
	end
	if kind == MAP then
		if i == nil then return fail("invalid index type") end
		return map_set(x, text(i), v)
	end
	return fail("not index-assignable: " .. type_name(x))
end

-- x[i] = v for any values.
function T.set(x, i, v)
	local kind = x[1]
	if kind == 3 then
		if i[0] == STRING then
			if v ~= nil and x[i] ~= nil then x[i] = v
			else map_set(x, i, v) end
			return
		end
	elseif kind == 1 and -i <= 0 and i < x[4] and i - MIN < 0 then
		x[2][x[3] + i] = v
		return
	end
	return set_other(x, i, v)
end

---------------------------------------------------------------------------------- x[a:b]

local function bound(i, otherwise)
	if i == nil then return otherwise end
	if mathtype(i) == "integer" then return i end
	return fail("invalid slice index type: " .. type_name(i))
end

local function clamp(i, n)
	if i < 0 then return 0 end
	return i > n and n or i
end

local function slice(x, low, high)
	low = bound(low, 0)
	local kind, n = x and x[1], nil
	if kind == ARRAY or kind == IMMUTABLE_ARRAY then n = x[4]
	elseif kind == BYTES then n = #x[2]
	elseif type(x) == "string" then n = #x
	-- The original dies of this, with these words.
	else return fail("runtime error: index out of range [-1]") end
	high = bound(high, n)
	if low > high then return fail("invalid slice index: " .. low .. " > " .. high) end
	low, high = clamp(low, n), clamp(high, n)
	if kind == BYTES then return T.bytes(sub(x[2], low + 1, high)) end
	if not kind then return sub(x, low + 1, high) end
	return setmetatable({ ARRAY, x[2], x[3] + low, high - low, x[5] - low }, array_mt)
end
T.slice = slice

-- s[low:high] of a string; low and high are ints for certain, and high may be absent.
function T.cut(s, low, high)
	if low >= 0 then
		if high then
			if low <= high then return sub(s, low + 1, high) end
		elseif low <= #s then return sub(s, low + 1) end
	end
	return slice(s, low, high)
end

---------------------------------------------------------------------------------- for in

-- What `for k, v in x` walks: source, first, count, keys.  Turn t, from 0, has key `keys[t + 1]`
-- and value `source[key]` when there are keys, else key t and value `source[first + t]`.
local function each(x)
	local kind = x and x[1]
	if kind then
		if kind <= IMMUTABLE_ARRAY then return x[2], x[3], x[4] end
		if kind <= IMMUTABLE_MAP then
			local keys, n = keys_of(x)
			return base(x), 0, n, keys
		end
		if kind == BYTES then
			local s = x[2]
			local list, n = {}, #s
			for i = 1, n do list[i] = byte(s, i) end
			return list, 1, n
		end
	elseif type(x) == "string" then
		local list, n = take_apart(x)
		return list, 1, n
	elseif x == nil then return {}, 1, 0 end
	return fail("not iterable: " .. type_name(x))
end
T.each = each

-- len(x) as the builtin and as what emitted code calls for it.
local function length(x)
	local kind = x[1]
	if kind == 1 or kind == 2 then return x[4] end
	if x[0] == STRING then return #x end
	if kind == 3 or kind == 4 then return base(x)[2] end
	if kind == BYTES then return #x[2] end
	return T.bad_argument("len", "first", "array/string/bytes/map", x)
end
T.length = length

-- Spread arguments: the elements of the last one.
function T.spread(x)
	local kind = x and x[1]
	if kind ~= ARRAY and kind ~= IMMUTABLE_ARRAY then return fail("not an array: " .. type_name(x)) end
	return x[4], x[2], x[3]
end

---------------------------------------------------------------------------------- for emitted code

T.new, T.mathtype, T.select = setmetatable, mathtype, select
local map_mt = T.metatables[3]

-- A map literal some of whose values may be undefined: `names` are their keys.
function T.map_with(m, names)
	local undefs
	for i = 1, #names do
		local name = names[i]
		if m[name] == nil then
			undefs = undefs or {}
			undefs[name] = true
		end
	end
	m[3] = undefs or false
	return setmetatable(m, map_mt)
end

-- The rest of a variadic function's arguments.
function T.rest(n, ...)
	return setmetatable({ ARRAY, { ... }, 1, n, n }, array_mt)
end

local unpack = table.unpack

local function check_callable(f)
	if type(f) ~= "function" then return fail("not callable: " .. type_name(f)) end
end

-- f(fixed..., last...): the elements of an array as the last arguments.
function T.spread_call(f, last, count, ...)
	check_callable(f)
	local n, backing, offset = T.spread(last)
	if count == 0 then return f(n, unpack(backing, offset, offset + n - 1)) end
	local list = { ... }
	table.move(backing, offset, offset + n - 1, count + 1, list)
	return f(count + n, unpack(list, 1, count + n))
end

-- A call with more arguments than Lua takes in one expression.
function T.long_call(f, n, list)
	check_callable(f)
	return f(n, unpack(list, 1, n))
end

function T.miscounted(got, want)
	return fail("wrong number of arguments: want=" .. want .. ", got=" .. got)
end
function T.too_few(got, want)
	return fail("wrong number of arguments: want>=" .. want .. ", got=" .. got)
end

-- The last int below `n`, for a loop that counts up to it.
function T.below(n)
	return n > MIN and n - 1 or MIN
end
