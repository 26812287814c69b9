-- Tengo's operators: metatables that make Lua's own right for every type, and helpers for the rest.
--
-- Emitted code uses Lua's `+ - * < <= > >= .. x.name f()` on values of unknown type; the
-- metatables here answer for what is not a number, or raise what Tengo says.  Lua's unary minus
-- is not among them: it gives a NaN for all that is no number, which makes `-i <= 0` a test that
-- never fails.  `v[0]` says what a value of a basic type is, `v[1]` is the KIND of a table.

local T = ...

local type, error, setmetatable, rawequal, next = type, error, setmetatable, rawequal, next
local mathtype, mininteger, fmod = math.type, math.mininteger, math.fmod
local sub, byte = string.sub, string.byte
local setmeta = debug.setmetatable
local fail, text, type_name, chars, char = T.fail, T.text, T.type_name, T.chars, T.char
local base, map_set, grown = T.base, T.map_set, T.grown
local array_mt, immutable_array_mt = T.metatables[1], T.metatables[2]
local failure_mt = T.failure_mt

local ARRAY <const>, IMMUTABLE_ARRAY <const>, MAP <const>, IMMUTABLE_MAP <const> = 1, 2, 3, 4
local CHAR <const>, BYTES <const>, ERROR <const>, TIME <const> = 5, 6, 7, 8
local NUMBER <const>, STRING <const>, BOOL <const>, NIL <const>, FUNCTION <const> = 10, 11, 12, 13, 14
local MIN <const> = math.mininteger
local MAX_DEPTH <const> = 10000
local NAN <const> = 0 / 0

local function invalid(a, op, b)
	return fail("invalid operation: " .. type_name(a) .. " " .. op .. " " .. type_name(b))
end

---------------------------------------------------------------------------------- arrays grow

-- A new array of the elements of `a` and then `n` more, list[1] to list[n]; like Go's append it
-- writes into the spare capacity of the backing that `a` shares.
local function appended(a, list, first, n)
	local backing, offset, len, cap = a[2], a[3], a[4], a[5]
	local total = len + n
	if total > cap then
		cap = grown(cap, total)
		local new = table.move(backing, offset, offset + len - 1, 1, {})
		backing, offset = new, 1
	end
	local to = offset + len
	for i = 0, n - 1 do backing[to + i] = list[first + i] end
	return setmetatable({ ARRAY, backing, offset, total, cap }, array_mt)
end
T.appended = appended

---------------------------------------------------------------------------------- times

local function later(t, nanoseconds)
	local ns = t[3] + nanoseconds % 1000000000
	local seconds = t[2] + nanoseconds // 1000000000
	if ns >= 1000000000 then ns = ns - 1000000000; seconds = seconds + 1 end
	return T.time(seconds, ns, t[4], t[5])
end
T.time_add = later

-- The nanoseconds from `b` to `a`, at most what an int holds, as Go's Time.Sub.
local function between(a, b)
	local seconds, ns = a[2] - b[2], a[3] - b[3]
	if seconds > 9223372036 or seconds == 9223372036 and ns > 854775807 then return math.maxinteger end
	if seconds < -9223372037 or seconds == -9223372037 and ns < 145224192 then return mininteger end
	return seconds * 1000000000 + ns
end
T.time_sub = between

---------------------------------------------------------------------------------- + - *

local function add(a, b)
	if type(a) == "string" then return a .. text(b) end
	local x, y = a and a[1], b and b[1]
	if x == CHAR then
		if y == CHAR then return char(a[2] + b[2]) end
		if mathtype(b) == "integer" then return char(a[2] + b) end
	elseif y == CHAR and mathtype(a) == "integer" then return char(a + b[2])
	elseif x == ARRAY and y == ARRAY then
		if b[4] == 0 then return a end
		return appended(a, b[2], b[3], b[4])
	elseif x == IMMUTABLE_ARRAY and y == IMMUTABLE_ARRAY then return appended(a, b[2], b[3], b[4])
	elseif x == BYTES and y == BYTES then return T.bytes(a[2] .. b[2])
	elseif x == TIME and mathtype(b) == "integer" then return later(a, b) end
	return invalid(a, "+", b)
end
T.add = add

local function subtract(a, b)
	local x, y = a and a[1], b and b[1]
	if x == CHAR then
		if y == CHAR then return char(a[2] - b[2]) end
		if mathtype(b) == "integer" then return char(a[2] - b) end
	elseif y == CHAR and mathtype(a) == "integer" then return char(a - b[2])
	elseif x == TIME then
		if y == TIME then return between(a, b) end
		if mathtype(b) == "integer" then return later(a, -b) end
	end
	return invalid(a, "-", b)
end

local function multiply(a, b) return invalid(a, "*", b) end

---------------------------------------------------------------------------------- < <=

-- Lua swaps the operands of > and >=, so only the place in the source knows which one it was;
-- the handler words the message (faults.lua).
local function incomparable(op, a, b)
	return error(setmetatable({ operator = op, left = type_name(a), right = type_name(b) }, failure_mt), 0)
end

-- Negative, zero or positive; nil when the types do not compare.
local function order(a, b)
	local x, y = a[1], b[1]
	if x == CHAR then
		if y == CHAR then return a[2] - b[2] end
		if mathtype(b) == "integer" then return a[2] < b and -1 or a[2] > b and 1 or 0 end
	elseif y == CHAR and mathtype(a) == "integer" then return a < b[2] and -1 or a > b[2] and 1 or 0
	elseif x == TIME and y == TIME then
		if a[2] ~= b[2] then return a[2] - b[2] end
		return a[3] - b[3]
	end
	return nil
end

local function less(a, b)
	local found = order(a, b)
	if found then return found < 0 end
	return incomparable("<", a, b)
end

local function less_equal(a, b)
	local found = order(a, b)
	if found then return found <= 0 end
	return incomparable("<=", a, b)
end

---------------------------------------------------------------------------------- the other binary ones

local function divide(a, b)
	if mathtype(a) == "integer" and mathtype(b) == "integer" then
		if b == 0 then return fail("runtime error: integer divide by zero") end
		local q = a // b
		-- Towards zero: Lua rounds down.
		if q < 0 and q * b ~= a then return q + 1 end
		return q
	end
	if type(a) == "number" and type(b) == "number" then return a / b end
	return invalid(a, "/", b)
end

local function remainder(a, b)
	if mathtype(a) == "integer" and mathtype(b) == "integer" then
		if b == 0 then return fail("runtime error: integer divide by zero") end
		return fmod(a, b)
	end
	return invalid(a, "%", b)
end

local function both_ints(a, op, b)
	if mathtype(a) ~= "integer" or mathtype(b) ~= "integer" then return invalid(a, op, b) end
end

local function band(a, b) both_ints(a, "&", b); return a & b end
local function bor(a, b) both_ints(a, "|", b); return a | b end
local function bxor(a, b) both_ints(a, "^", b); return a ~ b end
local function bandnot(a, b) both_ints(a, "&^", b); return a & ~b end

local function shift_left(a, b)
	both_ints(a, "<<", b)
	if b < 0 or b > 63 then return 0 end
	return a << b
end

local function shift_right(a, b)
	both_ints(a, ">>", b)
	if b < 0 or b > 63 then return a < 0 and -1 or 0 end
	if a >= 0 then return a >> b end
	return ~(~a >> b)
end

T.binary = {
	["/"] = divide, ["%"] = remainder, ["&"] = band, ["|"] = bor, ["^"] = bxor, ["&^"] = bandnot,
	["<<"] = shift_left, [">>"] = shift_right,
}

-- Unary minus and complement of a value of unknown type.
function T.negate(a)
	if type(a) == "number" then return -a end
	return fail("invalid operation: -" .. type_name(a))
end

function T.complement(a)
	if mathtype(a) == "integer" then return ~a end
	return fail("invalid operation: ^" .. type_name(a))
end

---------------------------------------------------------------------------------- truth

local ZERO_TIME <const> = -62135596800

local function truthy(v)
	if v == true then return true end
	if not v or v == "" or v ~= v then return false end
	if v == 0 then return mathtype(v) == "float" end
	local kind = v[1]
	if not kind then return true end
	if kind <= IMMUTABLE_ARRAY then return v[4] > 0 end
	if kind <= IMMUTABLE_MAP then return base(v)[2] > 0 end
	if kind == CHAR then return v[2] ~= 0 end
	if kind == BYTES then return v[2] ~= "" end
	if kind == TIME then return v[2] ~= ZERO_TIME or v[3] ~= 0 end
	return false -- an error
end
T.truthy = truthy

-- `v` when it is truthy, else nil: `pick(a) or b` is Tengo's `a || b`.
function T.pick(v)
	-- Of the basic types only these are not.
	if v and v ~= 0 and v ~= "" and not v[1] and v == v then return v end
	if truthy(v) then return v end
	return nil
end

---------------------------------------------------------------------------------- ==

local equals

local function same_arrays(a, b, depth)
	local n = a[4]
	if n ~= b[4] then return false end
	local p, i, q, j = a[2], a[3], b[2], b[3]
	for k = 0, n - 1 do
		if not equals(p[i + k], q[j + k], depth + 1) then return false end
	end
	return true
end

local function same_maps(a, b, depth)
	a, b = base(a), base(b)
	if a[2] ~= b[2] then return false end
	for key, value in next, a do
		if key ~= 1 and key ~= 2 and key ~= 3 and not equals(value, b[key], depth + 1) then return false end
	end
	local undefs = a[3]
	if undefs then
		for key in next, undefs do
			if not (b[3] and b[3][key]) then return false end
		end
	end
	return true
end

-- Tengo 2.10.0: 1 == 1.0 is false, functions equal nothing, errors only themselves.
function equals(a, b, depth)
	if a == b then
		local kind = a and a[1]
		if not kind then
			if type(a) == "number" then return mathtype(a) == mathtype(b) end
			return type(a) ~= "function"
		end
		if kind > IMMUTABLE_MAP then return true end
	end
	local x, y = a and a[1], b and b[1]
	if not x or not y then return false end
	depth = depth or 1
	if depth > MAX_DEPTH then return fail("value nests too deeply, or contains itself") end
	if x <= IMMUTABLE_ARRAY then return y <= IMMUTABLE_ARRAY and same_arrays(a, b, depth) end
	if x <= IMMUTABLE_MAP then return y > IMMUTABLE_ARRAY and y <= IMMUTABLE_MAP and same_maps(a, b, depth) end
	if x ~= y then return false end
	if x == BYTES then return a[2] == b[2] end
	if x == TIME then return a[2] == b[2] and a[3] == b[3] end
	return false
end
T.equals = equals

---------------------------------------------------------------------------------- metatables

local function unordinary() return NAN end

local function not_callable(v) return fail("not callable: " .. type_name(v)) end

local function with_operators(mt)
	mt.__add, mt.__sub, mt.__mul, mt.__lt, mt.__le = add, subtract, multiply, less, less_equal
	mt.__unm, mt.__call = unordinary, not_callable
	return mt
end

for _, mt in next, T.metatables do with_operators(mt) end

local function not_indexable(_, key) return fail("not indexable: " .. type_name(key)) end
local function bad_index(_, key) return fail("invalid index type: " .. type_name(key)) end

-- Reading a name of a value of a basic type: [0] and [1] are answered without a call.
local function basic(code, other)
	return with_operators { __index = setmetatable({ [0] = code, false }, other and { __index = other }) }
end

setmeta(nil, basic(NIL))
setmeta(0, basic(NUMBER, not_indexable))
setmeta(true, basic(BOOL, not_indexable))
setmeta("", basic(STRING, bad_index))
local function_mt = basic(FUNCTION, not_indexable)
function_mt.__call = nil
setmeta(type, function_mt)

-- The tables: reading a name that is not there.  Maps say nil by themselves.
local function read_name(other)
	return function(v, key)
		if type(key) == "string" then return other(v, key) end
		return nil
	end
end
local arrays = read_name(bad_index)
array_mt.__index, immutable_array_mt.__index = arrays, arrays
T.metatables[CHAR].__index = read_name(not_indexable)
T.metatables[BYTES].__index = arrays
T.metatables[TIME].__index = read_name(not_indexable)
T.metatables[ERROR].__index = read_name(function(v, key)
	if key == "value" then return v[2] end
	return fail("invalid index on error")
end)
T.metatables[9].__index = function(v, key) return v[2][key] end -- the view of an immutable map
for _, mt in next, T.metatables do mt.__metatable = false end
