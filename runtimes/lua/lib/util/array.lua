-- util.array: lists with methods.

local array = {}
local methods = {}
local array_mt = { __index = methods, __name = "array" }

function array_mt.__tostring(self) return "{" .. self:concat(", ") .. "}" end
function array_mt.__add(a, b) return array():append(a):append(b) end
function array_mt.__eq(a, b)
	if getmetatable(a) ~= array_mt or getmetatable(b) ~= array_mt or #a ~= #b then return false end
	for i = 1, #a do if a[i] ~= b[i] then return false end end
	return true
end

local function new(_, list) return setmetatable(list or {}, array_mt) end

function methods:append(other)
	for i = 1, #other do self[#self + 1] = other[i] end
	return self
end

function methods:push(value) self[#self + 1] = value; return self end
function methods:pop(index) return table.remove(self, index) end

function methods:concat(separator)
	local parts = {}
	for i = 1, #self do parts[i] = tostring(self[i]) end
	return table.concat(parts, separator)
end

function methods:contains(value)
	for i = 1, #self do if self[i] == value then return true end end
	return false
end

function methods:map(f)
	local result = array()
	for i = 1, #self do result[i] = f(self[i]) end
	return result
end

function methods:filter(f)
	local result = array()
	for i = 1, #self do if f(self[i]) then result[#result + 1] = self[i] end end
	return result
end

function methods:sort(...) table.sort(self, ...); return self end
function methods:reverse()
	local n = #self
	for i = 1, n // 2 do self[i], self[n + 1 - i] = self[n + 1 - i], self[i] end
	return self
end
function methods:random() return self[math.random(1, #self)] end
function methods:length() return #self end
function methods:slice(first, last)
	local result = array()
	for i = first or 1, last or #self do result[#result + 1] = self[i] end
	return result
end

function array.collect(f, state, var)
	local result = array()
	for value in f, state, var do result[#result + 1] = value end
	return result
end

for name, method in pairs(methods) do
	if not array[name] then array[name] = function(list, ...) return method(setmetatable(list, array_mt), ...) end end
end

return setmetatable(array, { __call = new })
