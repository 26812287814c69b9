-- The module "enum": functions over the elements of arrays and maps.
--
-- In Tengo this module is Tengo source, so its functions are compiled functions, and complain of a
-- wrong number of arguments as those do.

local T = ...

local type = type
local mathtype = math.type
local is_array, is_map, truthy, each = T.is_array, T.is_map, T.truthy, T.each

local function enumerable(x) return is_array(x) or is_map(x) end

-- A function of two parameters.
local function two(f)
	return function(n, a, b)
		if n ~= 2 then return T.fail("wrong number of arguments: want=2, got=" .. n) end
		return f(a, b)
	end
end

-- The next key and value of what `each` gave.  Not an iterator made of closures, for speed; a
-- guest's function is called by Lua code alone, so that it may wait for the host.
local function at(turn, source, first, keys)
	if not keys then return turn, source[first + turn] end
	local key = keys[turn + 1]
	return key, source[key]
end

local function all(x, fn)
	if not enumerable(x) then return nil end
	local source, first, count, keys = each(x)
	for turn = 0, count - 1 do
		if not truthy(fn(2, at(turn, source, first, keys))) then return false end
	end
	return true
end

local function any(x, fn)
	if not enumerable(x) then return nil end
	local source, first, count, keys = each(x)
	for turn = 0, count - 1 do
		if truthy(fn(2, at(turn, source, first, keys))) then return true end
	end
	return false
end

local function chunk(x, size)
	if not is_array(x) or not truthy(size) then return nil end
	local count, list, n, index = x[4], {}, 0, 0
	while index < count do
		n = n + 1
		list[n] = T.slice(x, index, index + size)
		index = index + size
	end
	return T.array(list, n)
end

local function element(x, key)
	if is_array(x) and mathtype(key) == "integer" or is_map(x) and type(key) == "string" then
		return T.idx(x, key)
	end
	return nil
end

local function visit(x, fn)
	if not enumerable(x) then return nil end
	local source, first, count, keys = each(x)
	for turn = 0, count - 1 do fn(2, at(turn, source, first, keys)) end
	return nil
end

local function filter(x, fn)
	if not is_array(x) then return nil end
	local source, first, count = each(x)
	local list, n = {}, 0
	for turn = 0, count - 1 do
		local value = source[first + turn]
		if truthy(fn(2, turn, value)) then n = n + 1; list[n] = value end
	end
	return T.array(list, n)
end

local function find_pair(x, fn)
	if not enumerable(x) then return nil end
	local source, first, count, keys = each(x)
	for turn = 0, count - 1 do
		local key, value = at(turn, source, first, keys)
		if truthy(fn(2, key, value)) then return key, value end
	end
	return nil
end

local function find(x, fn)
	local _, value = find_pair(x, fn)
	return value
end

local function find_key(x, fn) return (find_pair(x, fn)) end

local function map(x, fn)
	if not enumerable(x) then return nil end
	local source, first, count, keys = each(x)
	local list = {}
	for turn = 0, count - 1 do list[turn + 1] = fn(2, at(turn, source, first, keys)) end
	return T.array(list, count)
end

return {
	all = two(all), any = two(any), chunk = two(chunk), at = two(element), each = two(visit),
	filter = two(filter), find = two(find), find_key = two(find_key), map = two(map),
	key = two(function(key) return key end),
	value = two(function(_, value) return value end),
}
