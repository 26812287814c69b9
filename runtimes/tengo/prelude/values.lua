-- T, the one private table that the prelude and the standard library share, and Tengo's values.
--
-- How each Tengo type looks in Lua: ints, floats, booleans and strings as themselves, undefined
-- as nil, functions as Lua functions whose first parameter is the argument count, everything
-- else as a table with a small integer, its KIND, at index 1 and hidden fields at further integer
-- indexes.  Map keys are always strings, so that they share the table with the hidden fields.
--
-- `operators.lua` replaces the metatables of all basic types: `s:method()` and `#s` on a string
-- value of unknown type do not work in this Lua state; use `string.method(s)`.

local type, error, next, setmetatable, rawget = type, error, next, setmetatable, rawget
local mathtype, sort = math.type, table.sort

local ARRAY <const>, IMMUTABLE_ARRAY <const>, MAP <const>, IMMUTABLE_MAP <const> = 1, 2, 3, 4
local CHAR <const>, BYTES <const>, ERROR <const>, TIME <const> = 5, 6, 7, 8

local T = {
	ARRAY = ARRAY, IMMUTABLE_ARRAY = IMMUTABLE_ARRAY, MAP = MAP, IMMUTABLE_MAP = IMMUTABLE_MAP,
	CHAR = CHAR, BYTES = BYTES, ERROR = ERROR, TIME = TIME,
	builtins = {},                                    -- builtin functions by name
	builtin_names = setmetatable({}, { __mode = "k" }), -- builtin function -> its name
	user_names = setmetatable({}, { __mode = "k" }),    -- function of a library -> its name, or ""
	quick = {},                                       -- functions without checks, by module and name
	predicates = {},                                  -- what is_int and the others test, by name
	ops = {},                                         -- operations the engine may call, by name
}

-- The metatables of the kinds; `operators.lua` fills them.
local array_mt, immutable_array_mt, map_mt, immutable_map_mt = {}, {}, {}, {}
local view_mt, char_mt, bytes_mt, error_mt, time_mt = {}, {}, {}, {}, {}
T.metatables = {
	array_mt, immutable_array_mt, map_mt, immutable_map_mt, char_mt, bytes_mt, error_mt, time_mt, view_mt,
}

---------------------------------------------------------------------------------- faults

-- A runtime error on its way to the handler, which adds the places (faults.lua).
local failure_mt = { __name = "failure" }
T.failure_mt = failure_mt

function T.fail(message) return error(setmetatable({ message = message }, failure_mt), 0) end
local fail = T.fail

---------------------------------------------------------------------------------- arrays

-- An array is {ARRAY, backing, offset, len, cap}: element i is backing[offset + i].  Slices share
-- the backing, as Go's do, and append writes into spare capacity; so the capacities are Go's.

-- Sizes in bytes of the blocks of Go's allocator; an element takes 16 bytes.
local CLASSES <const> = {
	16, 32, 48, 64, 80, 96, 112, 128, 144, 160, 176, 192, 208, 224, 240, 256, 288, 320, 352, 384, 416,
	448, 480, 512, 576, 640, 704, 768, 896, 1024, 1152, 1280, 1408, 1536, 1792, 2048, 2304, 2688, 3072,
	3200, 3456, 4096, 4864, 5120, 5376, 6144, 6528, 6784, 6912, 8192, 9472, 9728, 10240, 10880, 12288,
	13568, 14336, 16384, 18432, 19072, 20480, 21760, 24576, 27264, 28672, 32768,
}

-- The capacity of a new block that must hold `needed` elements when the old one held `cap`.
function T.grown(cap, needed)
	local wanted = needed
	if needed <= cap * 2 then
		if cap < 256 then wanted = cap * 2
		else
			wanted = cap
			while wanted < needed do wanted = wanted + (wanted + 768) // 4 end
		end
	end
	local bytes = wanted * 16
	if bytes > 32768 then return (bytes + 8191) // 8192 * 512 end
	local low, high = 1, #CLASSES
	while low < high do
		local middle = (low + high) // 2
		if CLASSES[middle] < bytes then low = middle + 1 else high = middle end
	end
	return CLASSES[low] // 16
end
local grown = T.grown

-- The capacity of an array of `n` elements that was appended to one by one.
local function stepped(n)
	if n <= 512 then
		local cap = n == 0 and 0 or 1
		while cap < n do cap = cap * 2 end
		return cap
	end
	local cap = 512
	while cap < n do cap = grown(cap, cap + 1) end
	return cap
end
T.stepped = stepped

-- A new array of the `n` elements of a list, which it takes over.
function T.array(list, n)
	n = n or #list
	return setmetatable({ ARRAY, list, 1, n, stepped(n) }, array_mt)
end

-- An array header over a backing that exists.
function T.array_over(backing, offset, n, cap)
	return setmetatable({ ARRAY, backing, offset, n, cap }, array_mt)
end

function T.immutable_array(list, n)
	n = n or #list
	return setmetatable({ IMMUTABLE_ARRAY, list, 1, n, stepped(n) }, immutable_array_mt)
end

function T.is_array(v)
	if type(v) ~= "table" then return false end
	local kind = rawget(v, 1)
	return kind == ARRAY or kind == IMMUTABLE_ARRAY
end

function T.array_len(a) return a[4] end

-- Element `i`, counted from 0; nil outside.
function T.array_get(a, i)
	if i < 0 or i >= a[4] then return nil end
	return a[2][a[3] + i]
end

---------------------------------------------------------------------------------- maps

-- A map is {MAP, count, undefs or false} and its keys.  A key whose value is undefined is kept in
-- the set `undefs`.  `immutable(m)` of a map is a view {IMMUTABLE_MAP, m, m}.

function T.map() return setmetatable({ MAP, 0, false }, map_mt) end

local function counted(t)
	local n = 0
	for _ in next, t do n = n + 1 end
	return n
end

-- A map of a Lua table with string keys, which it takes over.
function T.map_of(t)
	local n = counted(t)
	t[1], t[2], t[3] = MAP, n, false
	return setmetatable(t, map_mt)
end

function T.immutable_map(t)
	local n = counted(t)
	t[1], t[2], t[3] = IMMUTABLE_MAP, n, false
	return setmetatable(t, immutable_map_mt)
end

-- What `immutable(v)` gives: a view of the same elements.
function T.immutable(v)
	if type(v) ~= "table" then return v end
	local kind = v[1]
	if kind == ARRAY then return setmetatable({ IMMUTABLE_ARRAY, v[2], v[3], v[4], v[5] }, immutable_array_mt) end
	if kind == MAP then return setmetatable({ IMMUTABLE_MAP, v, v }, view_mt) end
	return v
end

-- The table that holds a map's keys: itself, or what it is a view of.
local function base(m)
	local source = m[2]
	if m[3] == source then return source end
	return m
end
T.base = base

function T.is_map(v)
	if type(v) ~= "table" then return false end
	local kind = rawget(v, 1)
	return kind == MAP or kind == IMMUTABLE_MAP
end

function T.map_get(m, key) return base(m)[key] end
function T.map_len(m) return base(m)[2] end

function T.map_has(m, key)
	m = base(m)
	if m[key] ~= nil then return true end
	local undefs = m[3]
	return undefs and undefs[key] or false
end

function T.map_set(m, key, value)
	if value ~= nil then
		if m[key] == nil then
			local undefs = m[3]
			if undefs and undefs[key] then undefs[key] = nil
			else m[2] = m[2] + 1 end
		end
		m[key] = value
		return
	end
	local undefs = m[3]
	if not undefs then undefs = {}; m[3] = undefs end
	if undefs[key] then return end
	undefs[key] = true
	if m[key] == nil then m[2] = m[2] + 1
	else m[key] = nil end
end

function T.map_delete(m, key)
	local undefs = m[3]
	if m[key] ~= nil then
		m[key] = nil
		m[2] = m[2] - 1
	elseif undefs and undefs[key] then
		undefs[key] = nil
		m[2] = m[2] - 1
	end
end

-- The keys in no order, as a list, and how many there are.
local function keys_of(m)
	m = base(m)
	local keys, n = {}, 0
	for key in next, m do
		if key ~= 1 and key ~= 2 and key ~= 3 then n = n + 1; keys[n] = key end
	end
	local undefs = m[3]
	if undefs then for key in next, undefs do n = n + 1; keys[n] = key end end
	return keys, n
end
T.keys_of = keys_of

-- The keys in order, as a list.
function T.map_keys(m)
	local keys = keys_of(m)
	sort(keys)
	return keys
end

---------------------------------------------------------------------------------- the rest

-- Characters are interned, so that raw equality is theirs; those of ASCII stay.
local chars, ascii = setmetatable({}, { __mode = "v" }), {}
local function char(code)
	local found = chars[code]
	if not found then
		-- A rune has 32 bits.
		code = (code + 0x80000000 & 0xffffffff) - 0x80000000
		found = chars[code]
		if not found then
			found = setmetatable({ CHAR, code }, char_mt)
			chars[code] = found
		end
	end
	return found
end
for code = 0, 255 do ascii[code] = char(code) end
T.char, T.chars, T.ascii = char, chars, ascii

function T.bytes(s) return setmetatable({ BYTES, s }, bytes_mt) end
function T.error(value) return setmetatable({ ERROR, value }, error_mt) end
function T.time(seconds, nanoseconds, offset, zone)
	return setmetatable({ TIME, seconds, nanoseconds or 0, offset or 0, zone or "UTC" }, time_mt)
end

function T.builtin(name, f)
	T.builtin_names[f] = name
	T.builtins[name] = f
	return f
end

-- A function of a library.  Tengo 2.10.0 forgets the names of those in a module, hence "".
function T.user_function(f, name)
	T.user_names[f] = name or ""
	return f
end

---------------------------------------------------------------------------------- type names

local KIND_NAMES <const> = {
	"array", "immutable-array", "map", "immutable-map", "char", "bytes", "error", "time",
}

local function function_name(f)
	local name = T.builtin_names[f]
	if name then return "builtin-function:" .. name end
	name = T.user_names[f]
	if name then return "user-function:" .. name end
	return "compiled-function"
end

function T.type_name(v)
	local kind = type(v)
	if kind == "number" then return mathtype(v) == "integer" and "int" or "float" end
	if kind == "table" then return KIND_NAMES[v[1]] end
	if kind == "string" then return "string" end
	if kind == "boolean" then return "bool" end
	if kind == "nil" then return "undefined" end
	return function_name(v)
end

-- What messages call a function: `name` is that of a builtin, or a whole one with a colon, or
-- anything for a function of a library, whose name Tengo 2.10.0 does not know.
local function callee(name)
	if not name then return "user-function:" end
	if T.builtins[name] then return "builtin-function:" .. name end
	return string.find(name, ":", 1, true) and name or "user-function:"
end

function T.wrong_arguments(name) return fail("wrong number of arguments in call to '" .. callee(name) .. "'") end

function T.bad_argument(name, which, expected, found)
	return fail("invalid type for argument '" .. which .. "' in call to '" .. callee(name) .. "': expected "
		.. expected .. ", found " .. T.type_name(found))
end

---------------------------------------------------------------------------------- the outside

-- Replaced by host.lua and program.lua; these are what a bare state has.
T.output_limit, T.output_used = 1 << 20, 0
function T.spend(amount) T.output_used = T.output_used + amount end
function T.output(text) T.spend(#text) end
function T.service(name) return fail("no service " .. name) end

return T
