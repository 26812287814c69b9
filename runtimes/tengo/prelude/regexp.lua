-- The regular expressions of the module text.  Matching is done by the Python side; it answers
-- with byte offsets, and what they mean in Tengo is put together here.

local T = ...

local type, sub = type, string.sub
local next, to_string, to_int = next, T.to_string, T.to_int

-- Looked up at each call: the one that asks is put in place later than this file.
local function service(...) return T.service(...) end

-- The elements of one match: maps of its text and offsets, for the whole and for each group.
local function elements(text, found, first, groups)
	local list = {}
	for g = 1, groups do
		local from, to = found[first], found[first + 1]
		-- A group that took no part: the original dies of it.
		if from < 0 then return T.fail("runtime error: slice bounds out of range [-1:]") end
		list[g] = T.immutable_map({ text = sub(text, from + 1, to), begin = from, ["end"] = to })
		first = first + 2
	end
	return T.array(list, groups)
end

local regexp = {}

function regexp.match(pattern, text) return service("regexp_match", pattern, text) end

-- All matches, or undefined.
function regexp.find(pattern, text, limit)
	local found = service("regexp_find", pattern, text, limit)
	local groups = found[1]
	if not groups then return nil end
	local list, n = {}, 0
	for first = 2, #found, 2 * groups do
		n = n + 1
		list[n] = elements(text, found, first, groups)
	end
	return T.array(list, n)
end

function regexp.replace(pattern, text, template)
	return service("regexp_replace", pattern, text, template)
end

function regexp.split(pattern, text, limit)
	if limit == 0 or text == "" and pattern ~= "" then
		service("regexp_check", pattern)
		if limit == 0 then return T.array({}, 0) end
		return T.array({ "" }, 1)
	end
	local found = service("regexp_find", pattern, text, limit)
	local list, n, from, last = {}, 0, 0, 0
	local step = 2 * (found[1] or 1)
	for i = 2, #found, step do
		if limit > 0 and n == limit - 1 then break end
		last = found[i]
		if found[i + 1] ~= 0 then
			n = n + 1
			list[n] = sub(text, from + 1, last)
		end
		from = found[i + 1]
	end
	if last ~= #text then
		n = n + 1
		list[n] = sub(text, from + 1)
	end
	return T.array(list, n)
end

local WHICH <const> = { "first", "second", "third" }

local function text_argument(v, at)
	local s = type(v) == "string" and v or to_string(v)
	if not s then return T.bad_argument(nil, WHICH[at], "string(compatible)", v) end
	return s
end

local function int_argument(v, at)
	local i = to_int(v)
	if not i then return T.bad_argument(nil, WHICH[at], "int(compatible)", v) end
	return i
end

-- The functions of the module take the pattern first, those of an object do not: `pattern` is nil
-- or the object's, and the argument numbers in messages follow.
local function functions(pattern)
	local before = pattern and 0 or 1
	-- The arguments without the pattern, and the pattern first.
	local function arranged(p, a, b, c)
		if pattern then return pattern, p, a, b end
		return p, a, b, c
	end
	local made = {}
	function made.match(n, ...)
		if n ~= before + 1 then return T.wrong_arguments() end
		local p, a = arranged(...)
		p = text_argument(p, 1)
		return regexp.match(p, text_argument(a, before + 1))
	end
	function made.find(n, ...)
		if n ~= before + 1 and n ~= before + 2 then return T.wrong_arguments() end
		local p, a, limit = arranged(...)
		p = text_argument(p, 1)
		-- A pattern that is wrong is complained of before the other arguments are.
		if a == nil then service("regexp_check", p) end
		a = text_argument(a, before + 1)
		if n == before + 1 then return regexp.find(p, a, 1) end
		if not to_int(limit) then service("regexp_check", p) end
		return regexp.find(p, a, int_argument(limit, before + 2))
	end
	function made.replace(n, ...)
		if n ~= before + 2 then return T.wrong_arguments() end
		local p, a, template = arranged(...)
		p, a = text_argument(p, 1), text_argument(a, before + 1)
		return regexp.replace(p, a, text_argument(template, before + 2))
	end
	function made.split(n, ...)
		if n ~= before + 1 and n ~= before + 2 then return T.wrong_arguments() end
		local p, a, limit = arranged(...)
		p, a = text_argument(p, 1), text_argument(a, before + 1)
		limit = n == before + 2 and int_argument(limit, before + 2) or -1
		return regexp.split(p, a, limit)
	end
	for _, f in next, made do T.user_function(f) end
	return made
end

local module = functions(nil)
T.regexp_functions = {
	re_match = module.match, re_find = module.find, re_replace = module.replace, re_split = module.split,
	re_compile = T.user_function(function(n, pattern)
		if n ~= 1 then return T.wrong_arguments() end
		pattern = text_argument(pattern, 1)
		service("regexp_check", pattern)
		return T.immutable_map(functions(pattern))
	end),
}
