-- util.set: sets of values.

local set = {}
local methods = {}
local set_mt = { __index = methods, __name = "set" }

local function new(list)
	local self = setmetatable({ _items = {} }, set_mt)
	if list then self:add_list(list) end
	return self
end
set.new = new

function set.is_set(value) return getmetatable(value) == set_mt end

function methods:add(item) self._items[item] = true end
function methods:remove(item) self._items[item] = nil end
function methods:contains(item) return self._items[item] or false end
function methods:contains_set(other)
	for item in other:items() do if not self._items[item] then return false end end
	return true
end
function methods:items() return next, self._items end
function methods:add_list(list) for _, item in ipairs(list) do self._items[item] = true end end
function methods:include(other) for item in other:items() do self._items[item] = true end end
function methods:exclude(other) for item in other:items() do self._items[item] = nil end end
function methods:empty() return next(self._items) == nil end

function set.union(a, b)
	local result = new()
	result:include(a)
	result:include(b)
	return result
end

function set.difference(a, b)
	local result = new()
	for item in a:items() do if not b._items[item] then result:add(item) end end
	return result
end

function set.intersection(a, b)
	local result = new()
	for item in a:items() do if b._items[item] then result:add(item) end end
	return result
end

function set.xor(a, b) return set.union(set.difference(a, b), set.difference(b, a)) end

set_mt.__add, set_mt.__sub, set_mt.__mul, set_mt.__div =
	set.union, set.difference, set.intersection, function(s, f)
		local result = new()
		for item in s:items() do
			local mapped = f(item)
			if mapped ~= nil then result:add(mapped) end
		end
		return result
	end
function set_mt.__eq(a, b) return a:contains_set(b) and b:contains_set(a) end
function set_mt.__tostring(self)
	local parts = {}
	for item in self:items() do parts[#parts + 1] = tostring(item) end
	table.sort(parts)
	return table.concat(parts, ", ")
end
function set_mt.__len(self)
	local n = 0
	for _ in self:items() do n = n + 1 end
	return n
end

return set
