-- Tengo's builtin functions (docs/builtins.md of Tengo v2.10.0), with its wordings.

local T = ...

local type, select, setmetatable, next = type, select, setmetatable, next
local mathtype, rep, move = math.type, string.rep, table.move
local fail, type_name, builtin, char = T.fail, T.type_name, T.builtin, T.char
local wrong, bad = T.wrong_arguments, T.bad_argument
local base, grown, stepped, array = T.base, T.grown, T.stepped, T.array
local array_mt = T.metatables[1]

local ARRAY <const>, IMMUTABLE_ARRAY <const>, MAP <const>, IMMUTABLE_MAP <const> = 1, 2, 3, 4
local CHAR <const>, BYTES <const>, ERROR <const>, TIME <const> = 5, 6, 7, 8
local MAX_DEPTH <const> = 10000

local length = T.length
builtin("len", function(n, x)
	if n ~= 1 then return wrong "len" end
	return length(x)
end)

---------------------------------------------------------------------------------- copy

local copy

local function copy_array(v, depth)
	if depth > MAX_DEPTH then return fail("value nests too deeply, or contains itself") end
	local backing, offset, n, list = v[2], v[3], v[4], {}
	for i = 1, n do list[i] = copy(backing[offset + i - 1], depth + 1) end
	return array(list, n)
end

local function copy_map(v, depth)
	if depth > MAX_DEPTH then return fail("value nests too deeply, or contains itself") end
	v = base(v)
	local new = T.map()
	for key, value in next, v do
		if key ~= 1 and key ~= 2 and key ~= 3 then new[key] = copy(value, depth + 1) end
	end
	new[2] = v[2]
	if v[3] then
		local undefs = {}
		for key in next, v[3] do undefs[key] = true end
		new[3] = undefs
	end
	return new
end

function copy(v, depth)
	if type(v) ~= "table" then return v end
	local kind = v[1]
	if kind <= IMMUTABLE_ARRAY then return copy_array(v, depth) end
	if kind <= IMMUTABLE_MAP then return copy_map(v, depth) end
	if kind == ERROR then return T.error(copy(v[2], depth + 1)) end
	return v
end
T.copy = function(v) return copy(v, 1) end

builtin("copy", function(n, v)
	if n ~= 1 then return wrong "copy" end
	return copy(v, 1)
end)

---------------------------------------------------------------------------------- arrays and maps

-- append(a, x) with one item, the everyday case, for emitted code too.
local function append_one(a, item)
	local kind = a[1]
	if kind ~= ARRAY and kind ~= IMMUTABLE_ARRAY then return bad("append", "first", "array", a) end
	local backing, offset, len, cap = a[2], a[3], a[4], a[5]
	if len == cap then
		cap = grown(cap, len + 1)
		backing = move(backing, offset, offset + len - 1, 1, {})
		offset = 1
	end
	backing[offset + len] = item
	return setmetatable({ ARRAY, backing, offset, len + 1, cap }, array_mt)
end
T.append_one = append_one

-- A variable that a loop appends to, and that nothing else can see meanwhile, gets a header of its
-- own when the loop starts, which then grows in place.  Field 6 says that the backing is its own
-- too; only `push` may believe it.
function T.own(a)
	if a[1] ~= ARRAY then return a end
	return setmetatable({ ARRAY, a[2], a[3], a[4], a[5], false }, array_mt)
end

-- append(a, item) where nobody but the variable it is assigned to has seen `a`.
function T.push(a, item)
	if a[1] ~= ARRAY then return append_one(a, item) end
	local n, cap = a[4], a[5]
	if n == cap then
		cap = grown(cap, n + 1)
		a[5] = cap
		if not a[6] then
			-- As with append, what shares the old backing sees no more of what is written.
			a[2], a[3], a[6] = move(a[2], a[3], a[3] + n - 1, 1, {}), 1, true
		end
	end
	a[2][a[3] + n] = item
	a[4] = n + 1
	return a
end

builtin("append", function(n, a, ...)
	if n == 2 then return append_one(a, (...)) end
	if n < 2 then return wrong "append" end
	local kind = a and a[1]
	if kind ~= ARRAY and kind ~= IMMUTABLE_ARRAY then return bad("append", "first", "array", a) end
	return T.appended(a, { ... }, 1, n - 1)
end)

builtin("delete", function(n, m, key)
	if n ~= 2 then return wrong "delete" end
	if not m or m[1] ~= MAP then return bad("delete", "first", "map", m) end
	if type(key) ~= "string" then return bad("delete", "second", "string", key) end
	T.map_delete(m, key)
	return nil
end)

builtin("splice", function(n, a, start, count, ...)
	if n == 0 then return wrong "splice" end
	if not a or a[1] ~= ARRAY then return bad("splice", "first", "array", a) end
	local backing, offset, len, cap = a[2], a[3], a[4], a[5]
	if n < 2 then start = 0 end
	if mathtype(start) ~= "integer" then return bad("splice", "second", "int", start) end
	if start < 0 or start > len then return fail("index out of bounds") end
	if n < 3 then count = len end
	if mathtype(count) ~= "integer" then return bad("splice", "third", "int", count) end
	if count < 0 then return fail("index out of bounds") end
	if count > len - start then count = len - start end
	local deleted = move(backing, offset + start, offset + start + count - 1, 1, {})
	local added, tail = n > 3 and n - 3 or 0, len - start - count
	local items = { ... }
	local total = start + added + tail
	local from = offset + start + count
	if total > cap then
		cap = grown(cap, total)
		local new = move(backing, offset, offset + start - 1, 1, {})
		move(backing, from, from + tail - 1, start + added + 1, new)
		backing, offset = new, 1
	else
		move(backing, from, from + tail - 1, offset + start + added)
	end
	for i = 1, added do backing[offset + start + i - 1] = items[i] end
	a[2], a[3], a[4], a[5] = backing, offset, total, cap
	return T.array_over(deleted, 1, count, grown(0, count))
end)

builtin("range", function(n, start, stop, step)
	if n < 2 or n > 3 then return wrong "range" end
	if mathtype(start) ~= "integer" then return bad("range", "start", "int", start) end
	if mathtype(stop) ~= "integer" then return bad("range", "stop", "int", stop) end
	if n == 2 then step = 1
	elseif mathtype(step) ~= "integer" then return bad("range", "step", "int", step)
	elseif step <= 0 then return fail("range step must be greater than 0") end
	local list, count = {}, 0
	if start < stop then
		for i = start, stop - 1, step do count = count + 1; list[count] = i end
	elseif start > stop then
		for i = start, stop + 1, -step do count = count + 1; list[count] = i end
	end
	return array(list, count)
end)

---------------------------------------------------------------------------------- conversions

-- A conversion: the value as it is when it is of the type, converted, or the second argument.
local function conversion(name, convert)
	builtin(name, function(n, v, otherwise)
		if n ~= 1 and n ~= 2 then return wrong(name) end
		local found = convert(v)
		if found == nil then return otherwise end
		return found
	end)
end

conversion("string", T.to_string)
conversion("int", T.to_int)
conversion("float", T.to_float)
conversion("time", T.to_time)
conversion("char", function(v)
	local code = T.to_char(v)
	return code and char(code)
end)
conversion("bytes", function(v)
	if mathtype(v) == "integer" then
		-- The original dies of a negative one, with these words.
		if v < 0 then return fail("runtime error: makeslice: len out of range") end
		if v > 2147483647 then return fail("exceeding bytes size limit") end
		return T.bytes(rep("\0", v))
	end
	local content = T.to_bytes(v)
	return content and T.bytes(content)
end)

local truthy = T.truthy
builtin("bool", function(n, v)
	if n ~= 1 then return wrong "bool" end
	return truthy(v)
end)

---------------------------------------------------------------------------------- is_*

local function predicate(name, test)
	T.predicates[name] = test
	builtin(name, function(n, v)
		if n ~= 1 then return wrong(name) end
		return test(v)
	end)
end

local function of_kind(wanted)
	return function(v) return type(v) == "table" and v[1] == wanted end
end

predicate("is_int", function(v) return mathtype(v) == "integer" end)
predicate("is_float", function(v) return mathtype(v) == "float" end)
predicate("is_string", function(v) return type(v) == "string" end)
predicate("is_bool", function(v) return type(v) == "boolean" end)
predicate("is_char", of_kind(CHAR))
predicate("is_bytes", of_kind(BYTES))
predicate("is_array", of_kind(ARRAY))
predicate("is_immutable_array", of_kind(IMMUTABLE_ARRAY))
predicate("is_map", of_kind(MAP))
predicate("is_immutable_map", of_kind(IMMUTABLE_MAP))
predicate("is_time", of_kind(TIME))
predicate("is_error", of_kind(ERROR))
predicate("is_undefined", function(v) return v == nil end)
predicate("is_callable", function(v) return type(v) == "function" end)
predicate("is_function", function(v)
	return type(v) == "function" and not T.builtin_names[v] and not T.user_names[v]
end)
predicate("is_iterable", function(v)
	local kind = type(v)
	if kind == "table" then return v[1] <= IMMUTABLE_MAP or v[1] == BYTES end
	return kind == "string" or kind == "nil"
end)

builtin("type_name", function(n, v)
	if n ~= 1 then return wrong "type_name" end
	return type_name(v)
end)

builtin("format", function(n, pattern, ...)
	if n == 0 then return wrong "format" end
	if type(pattern) ~= "string" then return bad("format", "format", "string", pattern) end
	if n == 1 then return pattern end
	return T.format(pattern, n - 1, ...)
end)
