-- Programs: compiled by the Python side once per content, run in a fresh state each time.

local T = ...

local type, load, next, xpcall, pcall, error = type, load, next, xpcall, pcall, error
local collectgarbage, ipairs = collectgarbage, ipairs
local mathtype, concat, gsub, sub, match = math.type, table.concat, string.gsub, string.sub, string.match
local find_text = string.find
local ops, fault, encode, fail = T.ops, T.fault, T.encode, T.fail

-- The content of a Tengo string or bytes that came from the engine.
local function raw(v)
	if type(v) == "table" and v[1] == T.BYTES then return v[2] end
	return v
end
T.raw = raw

---------------------------------------------------------------------------------- libraries

-- Modules of the standard library: name -> table of values, or the immutable map made of it.
local library, ready = {}, {}
T.library = library

-- Files shared with the Lua runtime, by name.
T.pure = {}

-- Those whose functions are Tengo code in the original, and have no name there.
local COMPILED <const> = { enum = true }

local function module(name)
	local found = ready[name]
	if not found then
		local values = {}
		for key, value in next, library[name] do
			values[key] = value
			if type(value) == "function" and not COMPILED[name] and not T.user_names[value] then
				T.user_function(value)
			end
		end
		if not COMPILED[name] then values.__module_name__ = name end
		found = T.immutable_map(values)
		ready[name] = found
	end
	return found
end

---------------------------------------------------------------------------------- panic

-- `panic(x)` ends a program at once: nothing in Tengo catches it.
T.PANIC = {}

local function new_panic(run)
	local function panic(n, value)
		if n ~= 1 then return T.wrong_arguments "builtin-function:panic" end
		if value == nil then return nil end
		run.panic = T.map()
		if mathtype(value) == "integer" then T.map_set(run.panic, "status", value)
		else T.map_set(run.panic, "text", T.text(value)) end
		error(T.PANIC, 0)
	end
	T.builtin_names[panic] = "panic"
	return panic
end

---------------------------------------------------------------------------------- compiling

local programs = T.programs
-- Everything compiled, by what it was compiled from; dropped all at once when it grows.
local compiled, compiled_bytes, next_id = {}, 0, 1

local function raise_fault(answer)
	local message, file, line, column = answer[2], answer[3], answer[4], answer[5]
	local at = { T.array({ file, line, "", column }, 4) }
	local fault = T.new_fault("error", message, file, line, column, at)
	fault.excerpt = answer[6]
	error(fault, 0)
end

-- Ask the service until it needs no further module; `find(key)` gives file and text, or nil.
local function compile(file, source, allowed, names, find, relative)
	local modules, texts = {}, {}
	while true do
		local answer = T.service("compile", file, source, allowed, names, modules, relative)
		if answer[1] == "fault" then raise_fault(answer) end
		if answer[1] == "program" then return answer, texts end
		local key = answer[2]
		local shown, text = find(key)
		texts[key] = text or false
		modules[#modules + 1] = { n = 3, key, shown, text }
	end
end

local function loaded(answer)
	local id = next_id
	next_id = id + 1
	local chunk, problem = load(answer[2], "@" .. id, "t", {})
	-- Lua's own parser goes some 190 blocks deep.
	if not chunk and find_text(problem, "overflow", 1, true) then fail("the program nests too deep") end
	if not chunk then fail("internal error: " .. problem) end
	programs[id] = { places = answer[3], files = answer[4] }
	return chunk, id
end

-- The program for a text: {chunk, globals}.  `find` gives modules; those that the cached program
-- was made with are looked up again, because they may have changed.
local function program(file, source, allowed, names, find, relative)
	local key = concat({ file, source, concat(allowed, ","), concat(names, ",") }, "\0")
	local found = compiled[key]
	if found then
		for name, text in next, found.texts do
			local _, now = find(name)
			if (now or false) ~= text then found = nil; break end
		end
		if found then return found end
	end
	local answer, texts = compile(file, source, allowed, names, find, relative)
	if compiled_bytes > 0x400000 then
		for _, old in next, compiled do programs[old.id] = nil end
		compiled, compiled_bytes = {}, 0
	end
	local chunk, id = loaded(answer)
	found = { chunk = chunk, id = id, globals = answer[5], texts = texts }
	compiled[key] = found
	compiled_bytes = compiled_bytes + #answer[2] + #answer[3]
	return found
end

-- Run a program with the given globals; `import(name)` gives a builtin module.
local function run(found, given, import)
	local state = {}
	local ok, problem = xpcall(found.chunk, fault, T, given, import, state)
	T.forget_strings()
	return ok, problem, state
end

---------------------------------------------------------------------------------- operations

local SCRIPT_MODULES <const> = { "base64", "hex", "json", "math", "rand", "server", "text", "times" }
local all_modules

local function module_names()
	if not all_modules then
		all_modules = {}
		for name in next, library do all_modules[#all_modules + 1] = name end
		table.sort(all_modules)
	end
	return all_modules
end

-- The values of the globals that can leave, encoded.
local function saved(found, state, given)
	local values, fields = {}, {}
	for name, value in next, given do values[name] = value end
	if state.save then state.save(values) end
	for _, name in ipairs(found.globals) do
		local value = values[name]
		if type(value) ~= "function" and name ~= "panic" then
			local encoded = T.try_encode(value)
			if encoded then fields[name] = encoded end
		end
	end
	return T.encode_fields(fields)
end

-- execute(file, source, inputs, modules): run once; {value, globals, output, error, panic}.
function ops.execute(file, source, inputs, modules)
	local state, globals, output = {}, {}, {}
	for _, name in ipairs(T.map_keys(inputs)) do globals[name] = T.map_get(inputs, name) end
	globals.panic = new_panic(state)
	local names = T.map_keys(inputs)
	names[#names + 1] = "panic"
	local result = {}
	local ok, found = pcall(program, raw(file), raw(source), module_names(), names, function(key)
		local text = raw(T.map_get(modules, key))
		if text == nil and sub(key, -6) == ".tengo" then text = raw(T.map_get(modules, sub(key, 1, -7))) end
		return key, text
	end, false)
	if not ok then return T.encode_fields { error = encode(T.fault_value(found)) } end
	local function print(text)
		T.spend(#text)
		output[#output + 1] = text
	end
	local succeeded, problem, left = T.with_output(print, run, found, globals, module)
	result.output = encode(concat(output))
	if problem == "not enough memory" then
		-- What filled the memory goes first: the answer needs some.
		left, globals = { save = false }, {}
		collectgarbage()
	end
	result.globals = saved(found, left, globals)
	if state.panic then result.panic = encode(state.panic)
	elseif succeeded then result.value = T.try_encode(left.value)
	else result.error = encode(T.fault_value(problem)) end
	return T.encode_fields(result)
end

-- Where what is no code at `at` ends: a comment, a string or a character; nil where there is none.
local function skipped(source, at)
	local first, finish, _ = sub(source, at, at + 1), nil, nil
	local quote = sub(first, 1, 1)
	if first == "//" then _, finish = find_text(source, "\n", at, true)
	elseif first == "/*" then _, finish = find_text(source, "*/", at + 2, true)
	elseif quote == "`" then finish = find_text(source, "`", at + 1, true)
	elseif quote == '"' or quote == "'" then
		finish = at
		repeat
			finish = find_text(source, "[\\" .. quote .. "]", finish + 1)
			local escape = finish and sub(source, finish, finish) == "\\"
			if escape then finish = finish + 1 end
		until not escape
	else return nil end
	return finish or #source
end

-- Iterates over the names in a program that compiles; comments and strings hold none.
local function names_in(source)
	local at = 1
	return function()
		while true do
			at = find_text(source, "[%a_/\"'`]", at)
			if not at then return nil end
			local name = match(source, "^[%a_][%w_]*", at)
			if name then
				at = at + #name
				return name
			end
			at = (skipped(source, at) or at) + 1
		end
	end
end

-- Compile one file; what it imports is not looked at.
local function compile_alone(file, source)
	local allowed = { "server" }
	for i, name in ipairs(module_names()) do allowed[i + 1] = name end
	return compile(raw(file), source, allowed, { "panic" }, function(key) return key, "" end, true)
end

-- compile(file, source): the Lua that a file becomes, for people to read.
function ops.compile(file, source) return encode(compile_alone(file, raw(source))[2]) end

-- check(file, source): compile only; the names that the program uses, for `sandbox check`.
function ops.check(file, source)
	source = raw(source)
	compile_alone(file, source)
	local names, seen, n = {}, {}, 0
	for name in names_in(source) do
		if not seen[name] and n < 20000 then
			seen[name] = true
			n = n + 1
			names[n] = name
		end
	end
	return encode(T.array(names, n))
end

-- request(plugin, file, source, request): run one script; {status, headers, body, panic, redirect}.
function ops.request(plugin, file, source, request)
	local state, answer = {}, T.new_answer()
	plugin, file = raw(plugin), raw(file)
	local found = program(file, raw(source), SCRIPT_MODULES, { "panic" }, function(key)
		local file_found = T.host_plain("plugin.file", 2, plugin, key .. ".tengo")
		if file_found then return file_found[1], file_found[2] end
	end, true)
	local server, finish
	local function import(name)
		if name ~= "server" then return module(name) end
		if not server then server, finish = T.server_library(plugin, file, request, answer) end
		return server
	end
	local function print(text) T.log(plugin, "info", (gsub(text, "\n$", ""))) end
	local ok, problem = T.with_output(print, run, found, { panic = new_panic(state) }, import)
	if problem == "not enough memory" then error(problem, 0) end
	if finish then finish() end
	if not ok and not state.panic then error(problem, 0) end
	return T.encode_answer(answer, state.panic)
end
