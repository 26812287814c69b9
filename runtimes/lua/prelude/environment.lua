-- The globals a guest sees: an allow-list, copied afresh for each environment.
--
-- Left out, and why: `os io package debug python` reach the machine or the interpreter itself;
-- `dofile loadfile warn` reach files or the C streams; `string.dump` and binary chunks are a way
-- to run mutated bytecode; `collectgarbage` may only count and collect.  The real globals table
-- and the real library tables never leave this file: a guest that changes `string.format` or
-- hangs a metatable on `_G` changes its own copies.

local core = ...

local assert, error, ipairs, next, pairs = assert, error, ipairs, next, pairs
local pcall, xpcall, rawequal, rawget, rawlen = pcall, xpcall, rawequal, rawget, rawlen
local rawset, select, tonumber, tostring, type = rawset, select, tonumber, tostring, type
local getmetatable, setmetatable, load, concat = getmetatable, setmetatable, load, table.concat
local collectgarbage = collectgarbage
local string, table, math, utf8, os = string, table, math, utf8, os
local tconcat, sub, pack, unpack = table.concat, string.sub, table.pack, table.unpack

-- ("x"):upper() looks methods up in the metatable that all strings share.  Guests must not get
-- hold of it, and what it leads to must not include dump.
string.dump = nil
debug.getmetatable("").__metatable = false

-- A function that makes new tables with the fields of `values`.  Its code is one constructor that names
-- them all: filling an empty table field by field takes several times as long.
local function copier(values)
	local names, list = {}, {}
	for name, value in next, values do names[#names + 1], list[#list + 1] = name, value end
	local text = tconcat(names, ", ")
	local code = "local " .. text .. " = ...; return function() return { " .. text:gsub("[%w_]+", "%0 = %0") .. " } end"
	return load(code, "=[sandbox] environment", "t", {})(unpack(list))
end

local function library_copier(library, names)
	local chosen = {}
	for name in names:gmatch "%S+" do chosen[name] = library[name] end
	return copier(chosen)
end

local new_string = library_copier(string, "byte char find format gmatch gsub len lower match pack packsize rep reverse sub unpack upper")
local new_table = library_copier(table, "concat insert move pack remove sort unpack")
local new_math = library_copier(math, "abs acos asin atan ceil cos deg exp floor fmod huge log max maxinteger min mininteger modf pi rad random randomseed sin sqrt tan tointeger type ult")
local new_utf8 = library_copier(utf8, "char charpattern codepoint codes len offset")

-- A finalizer would run with every limit off and again when the state is closed.
local function guest_setmetatable(t, mt)
	if type(mt) == "table" and rawget(mt, "__gc") ~= nil then
		error("__gc is excluded: finalizers are not available to plugins", 2)
	end
	return setmetatable(t, mt)
end

local function guest_collectgarbage(option)
	if option == nil or option == "collect" or option == "step" then return collectgarbage("collect") end
	if option == "count" then return collectgarbage("count") end
	error("collectgarbage: only \"collect\" and \"count\" are available to plugins", 2)
end

local EXCLUDED <const> = { os = true, io = true, debug = true, package = true, python = true, ffi = true, jit = true,
	lfs = true, socket = true, ssl = true, posix = true }
core.EXCLUDED = EXCLUDED

-- `load` for one environment: text only, and never the real globals as the default environment.
local function loader(env)
	return function(chunk, name, mode, ...)
		if mode ~= nil and mode ~= "t" and mode ~= "bt" then
			return nil, "attempt to load a binary chunk (only text is available to plugins)"
		end
		if type(chunk) == "function" then
			local parts = {}
			while true do
				local part = chunk()
				if part == nil or part == "" then break end
				if type(part) ~= "string" then return nil, "reader function must return a string" end
				parts[#parts + 1] = part
			end
			chunk = tconcat(parts)
		elseif type(chunk) ~= "string" then
			error("bad argument #1 to 'load' (string or function expected)", 2)
		end
		local target = env
		if select("#", ...) > 0 then target = (...) end
		-- A name that a guest chooses may not imitate the prelude's own.
		local label = type(name) == "string" and sub(name, 1, 200) or chunk
		local first = sub(label, 1, 1)
		if first == "=" then label = "@" .. sub(label, 2) elseif first ~= "@" then label = "@[load]" end
		return load(chunk, label, "t", target)
	end
end

local new_basics = copier {
	assert = assert, error = error, ipairs = ipairs, next = next, pairs = pairs,
	rawequal = rawequal, rawget = rawget, rawlen = rawlen, rawset = rawset, select = select,
	tonumber = tonumber, tostring = tostring, type = type, getmetatable = getmetatable,
	pcall = pcall, xpcall = xpcall, setmetatable = guest_setmetatable,
	collectgarbage = guest_collectgarbage, _VERSION = _VERSION,
}

-- Each environment starts from a fresh random state, so that one execution cannot choose or
-- learn the numbers of the next.  The seed comes from the kernel, after the fork.
local seed_high, seed_low = 0, 0
function core.seed(high, low) seed_high, seed_low = high, low end

-- A new table of globals.  `write(text)` receives what it prints.
function core.new_globals(write)
	local env = new_basics()
	env.string, env.table, env.math, env.utf8 = new_string(), new_table(), new_math(), new_utf8()
	env.coroutine = core.coroutine_library()
	env._G = env
	env.load = loader(env)
	env.print = function(...)
		local parts = pack(...)
		for i = 1, parts.n do parts[i] = tostring(parts[i]) end
		write(concat(parts, "\t", 1, parts.n) .. "\n")
	end
	seed_low = seed_low + 1
	math.randomseed(seed_high, seed_low)
	return env
end

-- The part of `os` that only tells the time.  Modules written for Prosody expect it there;
-- scripts and bare code have no `os` at all.
function core.clock_library()
	return { time = os.time, date = os.date, clock = os.clock, difftime = os.difftime }
end

-- Compile guest text.  Returns the function, or nil and a fault table with file and line.
function core.compile(source, file, env)
	-- "#!" on the first line is skipped, as the standalone interpreter does.
	if sub(source, 1, 2) == "#!" then source = "--" .. source end
	local chunk, problem
	if sub(source, 1, 1) == "\27" then problem = file .. ":1: binary chunks are excluded"
	else chunk, problem = load(source, "@" .. file, "t", env) end
	if chunk then return chunk end
	local line, message = problem:match(":(%d+): ([^\n]*)")
	local fault = { type = "SyntaxError", file = file, line = math.tointeger(line) or 1,
		message = message or problem, frames = setmetatable({}, core.list_mt) }
	core.faults[fault] = true
	return nil, fault
end

---------------------------------------------------------------------------------- require

-- Libraries that come with the runtime: name -> source text, filled by the Python side.
core.library_sources = {}

-- `require` for one environment.  `loaded` holds what it has; `own(name)` may find a file of the
-- plugin; both names of Prosody's libraries ("util.x", "prosody.util.x") mean the same.
function core.requirer(loaded, library_env, own)
	return function(name)
		if type(name) ~= "string" then error("bad argument #1 to 'require' (string expected)", 2) end
		local key = name:match "^prosody%.(.+)$" or name
		if loaded[key] ~= nil then return loaded[key] end
		if EXCLUDED[key] then error(key .. " is excluded: plugins have no access to it", 2) end
		local source, file = core.library_sources[key], nil
		local env = library_env
		if source then file = "lib/" .. key:gsub("%.", "/") .. ".lua"
		elseif own then source, file, env = own(key) end
		if not source then error("module '" .. name .. "' not found: no such library in this sandbox", 2) end
		local chunk, fault = core.compile(source, file, env)
		if not chunk then error(fault.file .. ":" .. fault.line .. ": " .. fault.message, 0) end
		local value = chunk(name)
		if value == nil then value = true end
		-- Stanzas that modules make cross the border as stanzas, not as tables.
		-- And an empty array is known to be a list.
		if source == core.library_sources[key] then
			local mt = key == "util.stanza" and value.stanza_mt or key == "util.array" and getmetatable(value())
			-- In scripts the library ran in the guest's own globals, which may be anything by now.
			if type(mt) == "table" then (key == "util.stanza" and core.is_stanza_mt or core.is_list_mt)[mt] = true end
		end
		loaded[key] = value
		return value
	end
end
