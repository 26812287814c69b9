-- Scripts: one request each, in a fresh environment, compiled once per content; and bare code.

local core = ...

local xpcall, error, next, type, tostring = xpcall, error, next, type, tostring
local setmetatable, load, mathtype, rawequal = setmetatable, load, math.type, rawequal
local concat, getmetatable, collectgarbage = table.concat, debug.getmetatable, collectgarbage
local fault, ops = core.fault, core.ops

---------------------------------------------------------------------------------- panic

-- `panic(x)` ends the script whatever the guest does about errors: the guest's pcall passes it on.
-- Compared raw: `==` would hand it to the `__eq` of a guest's error object.
local PANIC = setmetatable({}, { __metatable = false, __name = "panic" })

local function panic_in(run)
	return function(...)
		if core.count(...) ~= 1 then error("wrong number of arguments in call to 'panic'", 2) end
		local value = (...)
		if value == nil then return end
		run.panicked = true
		run.panic_is_status = mathtype(value) == "integer"
		run.panic = run.panic_is_status and value or core.text_of(value)
		if type(value) == "table" and not run.panic_is_status then run.panic = core.inspect(value) end
		error(PANIC, 0)
	end
end

local function passing(ok, first, ...)
	if not ok and rawequal(first, PANIC) then error(PANIC, 0) end
	return ok, first, ...
end

local raw_pcall, raw_xpcall = pcall, xpcall
local function guest_pcall(...) return passing(raw_pcall(...)) end
local function guest_xpcall(f, handler, ...)
	return passing(raw_xpcall(f, function(problem)
		if rawequal(problem, PANIC) then return PANIC end
		return handler(problem)
	end, ...))
end

---------------------------------------------------------------------------------- compiled once

-- The chunk takes its environment as the first argument, so that one compilation serves every
-- request.  "local _ENV = ...;" is on the first line: line numbers stay those of the file.
local compiled, compiled_bytes = {}, 0

local function program(source, file)
	local found = compiled[source]
	if found and found.file == file then return found.chunk end
	if compiled_bytes > 0x400000 then compiled, compiled_bytes = {}, 0 end
	local text = source:sub(1, 2) == "#!" and "--" .. source or source
	local chunk = text:sub(1, 1) ~= "\27" and load("local _ENV = ...; " .. text, "@" .. file, "t", {})
	if not chunk then
		-- Compile without our prefix for the message as the author should read it.
		local plain, problem = core.compile(source, file, {})
		if not plain then error(problem, 0) end
		error(file .. ":1: too many local variables", 0)
	end
	compiled[source] = { chunk = chunk, file = file }
	compiled_bytes = compiled_bytes + #source
	return chunk
end

---------------------------------------------------------------------------------- script

local function environment(run, write)
	local env = core.new_globals(write)
	env.pcall, env.xpcall, env.panic = guest_pcall, guest_xpcall, panic_in(run)
	return env
end

local function finished(run, ok, problem)
	if run.panicked then
		return { status = run.panic_is_status and run.panic or nil, text = not run.panic_is_status and run.panic or nil }
	end
	if not ok then error(problem, 0) end
end

local function handler(problem)
	if rawequal(problem, PANIC) then return PANIC end
	return fault(problem)
end

-- What a request makes does not outlive it: a collector by generations does not visit the long-lived
-- prelude again and again.  Modules keep state of their own, which suits the other kind of collector.
local by_generations = false

-- request(plugin, file, source, request): run one script; returns {status, headers, body, panic}.
function ops.request(plugin, file, source, request)
	if not by_generations then
		by_generations = true
		collectgarbage "generational"
	end
	local run = {}
	local answer = core.new_answer()
	local env = environment(run, function(text) core.log(plugin, "", "info", (text:gsub("\n$", ""))) end)
	local server = core.server_library(plugin, file, request, answer)
	local loaded = { server = server }
	env.require = core.requirer(loaded, env, function(name)
		local found = core.host("plugin.file", plugin, name)
		if found then return found[2], found[1], env end
	end)
	local chunk = program(source, file)
	local ok, problem = xpcall(chunk, handler, env)
	core.forget_libraries()
	local panic = finished(run, ok, problem)
	return { status = answer.status, headers = answer.headers, body = concat(answer.body), panic = panic,
		redirect = answer.redirect }
end

---------------------------------------------------------------------------------- bare code

-- execute(file, source, inputs, modules): run once; returns {value, globals, output, error}.
function ops.execute(file, source, inputs, modules)
	local run, output = {}, {}
	local env = environment(run, function(text)
		core.spend(#text)
		output[#output + 1] = text
	end)
	env.require = core.requirer({}, env, function(name)
		local text = modules[name]
		if text then return text, name .. ".lua", env end
	end)
	local before = {}
	for name, value in next, env do before[name] = value end
	for name, value in next, inputs do env[name] = value end
	local ok, value, problem
	local chunk
	ok, problem = raw_xpcall(program, function(p) return p end, source, file)
	if ok then
		chunk = problem
		ok, value = xpcall(chunk, handler, env)
		core.forget_libraries()
		problem = not ok and value or nil
	end
	local globals = {}
	for name, item in next, env do
		if type(name) == "string" and before[name] ~= item and core.is_plain(item, 1) then globals[name] = item end
	end
	local result = { output = concat(output), globals = globals }
	if run.panicked then
		result.panic = finished(run, ok, problem)
	elseif ok then
		if not core.is_plain(value, 1) then
			problem = { type = "error", message = "the result holds a " .. core.foreign_kind(value) .. ", which cannot cross", frames = {} }
			result.error = problem
		else result.value = value end
	else
		-- Out of memory, Lua calls no message handler: its bare words are all there is.
		local kind = problem == "not enough memory" and "MemoryError" or "error"
		result.error = type(problem) == "table" and problem or { type = kind, message = tostring(problem), frames = {} }
	end
	return result
end

function core.foreign_kind(value)
	if type(value) ~= "table" then return type(value) end
	return "table with something that is not plain data"
end

function core.count(...) return core.select("#", ...) end
core.select = select

-- A short text of a table for a panic's body: JSON-like, without running guest code.
function core.inspect(value, depth)
	depth = depth or 1
	if type(value) == "string" then return ("%q"):format(value) end
	if type(value) ~= "table" or depth > 8 then return core.text_of(value) end
	local parts, keys = {}, {}
	for key in next, value do if type(key) ~= "number" then keys[#keys + 1] = tostring(key) end end
	for i = 1, math.min(rawlen(value), 1000) do parts[i] = core.inspect(rawget(value, i), depth + 1) end
	table.sort(keys)
	for _, key in ipairs(keys) do parts[#parts + 1] = key .. ": " .. core.inspect(rawget(value, key), depth + 1) end
	-- The empty table is a map, unless it came as a list: as when it crosses.
	local is_list = #keys == 0 and (#parts > 0 or core.is_list_mt[getmetatable(value) or false])
	return (is_list and "[" or "{") .. concat(parts, ", ") .. (is_list and "]" or "}")
end
