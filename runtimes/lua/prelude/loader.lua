-- Module instances of this sandbox: making them, running their callbacks, taking them down.
--
-- The engine's life cycle decides what happens when; here is how each step is done.  A step that
-- fails leaves nothing registered.

local core = ...

local xpcall, rawget, setmetatable, next, type = xpcall, rawget, setmetatable, next, type
local error, ipairs, tostring = error, ipairs, tostring
local fault = core.fault

-- modules[host][name] = api object.  A host part and its global part are two entries.
local modules = {}
core.registries = setmetatable({}, { __mode = "k" })

local function put(host, name, api)
	modules[host] = modules[host] or {}
	modules[host][name] = api
end

function core.find_module(host, name)
	local api = modules[host] and modules[host][name]
	if not api and host ~= "*" then api = modules["*"] and modules["*"][name] end
	return api
end

function core.modules_on(host)
	local list, names = {}, {}
	for name in next, modules[host] or {} do names[#names + 1] = name end
	table.sort(names)
	for i, name in ipairs(names) do list[i] = modules[host][name] end
	return list
end

-- Run `f` and turn an error into the fault table that goes to the engine.
local function guarded(f, ...)
	local ok, first, second = xpcall(f, fault, ...)
	if ok then return first, second end
	error(first, 0)
end

local function new_api(name, host)
	local api = setmetatable({ name = name, host = host, items = {}, event_handlers = {} }, { __index = core.module_api })
	core.registries[api] = { hooks = {}, shared = {}, timers = {} }
	api._log = function(level, message, ...) return api:log(level, message, ...) end
	return api
end

-- Setting module.host = "*" is the old spelling of module:set_global().
local function watch_host(api, asked)
	if asked ~= "*" and api.host == "*" and not rawget(api, "global") then
		core.log(api.name, "*", "warn", "Setting module.host = '*' deprecated, call module:set_global() instead")
		api:set_global()
	end
end

-- Undo everything `api` registered.  Items go last to first, each with its event.
local function release(api, quiet)
	local registry = core.registries[api]
	for i = #registry.hooks, 1, -1 do
		local hook = registry.hooks[i]
		registry.hooks[i] = nil
		hook.bus[hook.undo](hook.event, hook.handler)
	end
	for id in next, registry.timers do core.stop_task(id) end
	for key, list in next, rawget(api, "items") or {} do
		for i = #list, 1, -1 do
			local item = list[i]
			list[i] = nil
			core.note("items", api.name, api.host, key, #list)
			if not quiet then
				local ok, problem = xpcall(api.fire_event, fault, api, "item-removed/" .. key, { source = api, item = item })
				if not ok then core.log(api.name, api.host, "error", "Error in item-removed/" .. key .. " handler: " .. core.describe(problem)) end
			end
		end
	end
	api.loaded = false
	if modules[api.host] and modules[api.host][api.name] == api then modules[api.host][api.name] = nil end
	local asked = registry.asked_host
	if asked and modules[asked] and modules[asked][api.name] == api then modules[asked][api.name] = nil end
end

function core.describe(problem)
	local place = ""
	local frames = problem.frames
	local last = frames and frames[#frames]
	if problem.file then place = problem.file .. ":" .. tostring(problem.line) .. ": "
	elseif last then place = last[1] .. ":" .. last[2] .. ": " end
	return place .. tostring(problem.message)
end

local function callback(api, name, ...)
	local f = rawget(api, name)
	if f == nil then return nil end
	return guarded(f, ...)
end

local ops = core.ops

-- load(name, host, file, source, reloading, saved): run the chunk and module.load().
function ops.load(name, host, file, source, reloading, saved)
	local api = new_api(name, host)
	local env = setmetatable({ module = api }, { __index = core.shared_globals() })
	api.environment = env
	api.path = file
	-- `false` while it loads for the first time, true on a reload, nil ever after: as in Prosody.
	api.reloading, api.saved_state = reloading, saved
	local registry = core.registries[api]
	registry.asked_host = host
	-- Registered before the chunk runs, so that circular `depends` find it.
	put(host, name, api)
	local chunk, problem = core.compile(source, file, env)
	if not chunk then release(api, true); error(problem, 0) end
	local ok, err = xpcall(function()
		guarded(chunk, name)
		watch_host(api, host)
		if host == "*" then api:set_global() end
		callback(api, "load")
	end, fault)
	if not ok then release(api, true); error(err, 0) end
	api.reloading, api.saved_state = nil, nil
	if api.host ~= host then
		modules[host][name] = nil
		put(api.host, name, api)
	end
	return { global = api.host == "*", add_host = type(rawget(api, "add_host")) == "function" }
end

-- add_host(name, host, reloading, saved): make the host part of a shared module.
function ops.add_host(name, host, reloading, saved)
	local global = modules["*"][name]
	local part = setmetatable({ global = false, host = host, items = {}, event_handlers = {} }, { __index = global })
	core.registries[part] = { hooks = {}, shared = {}, timers = {} }
	part._log = function(level, message, ...) return part:log(level, message, ...) end
	part.environment = setmetatable({ module = part }, { __index = global.environment })
	if reloading then part.reloading, part.saved_state = true, saved end
	put(host, name, part)
	local ok, result, reason = xpcall(rawget(global, "add_host"), fault, part)
	if not ok then release(part, true); error(result, 0) end
	if result == false then
		release(part, true)
		return { refused = true, reason = reason == nil and "" or core.text_of(reason) }
	end
	part.reloading, part.saved_state = nil, nil
	return { refused = false }
end

local function instance(host, name)
	local api = modules[host] and modules[host][name]
	if not api then error("module " .. name .. " is not loaded on " .. host .. " in this sandbox", 0) end
	return api
end

function ops.save(name, host) return (callback(instance(host, name), "save")) end

function ops.restore(name, host, saved)
	local api = instance(host, name)
	if saved == nil then saved = {} end
	callback(api, "restore", saved)
end

-- unload(name, host, reloading): an error in module.unload does not stop it; its text is returned.
function ops.unload(name, host, reloading)
	local api = instance(host, name)
	if reloading then api.reloading = true end
	local ok, problem = xpcall(callback, fault, api, "unload")
	release(api)
	if not ok then return core.describe(problem) end
end

-- discard(name, host): take down without callbacks, after a later step of loading failed.
function ops.discard(name, host)
	local api = modules[host] and modules[host][name]
	if api then release(api, true) end
end

-- Where what is no code at `at` ends: a comment or a string; nil where there is none.
local function skipped(source, at)
	local level = source:match("^%-%-%[(=*)%[", at) or source:match("^%[(=*)%[", at)
	local finish, _
	if level then _, finish = source:find("]" .. level .. "]", at, true)
	elseif source:find("^%-%-", at) then finish = source:find("\n", at, true)
	elseif source:find("^[\"']", at) then
		finish = at
		repeat
			finish = source:find("[\\" .. source:sub(at, at) .. "]", finish + 1)
			local escape = finish and source:sub(finish, finish) == "\\"
			if escape then finish = finish + 1 end
		until not escape
	else return nil end
	return finish or #source
end

-- Iterates over the names in a chunk that compiles; comments and strings hold none.
local function names_in(source)
	local at = 1
	return function()
		while true do
			at = source:find("[%a_%-%[\"']", at)
			if not at then return nil end
			local name = source:match("^[%a_][%w_]*", at)
			if name then
				at = at + #name
				return name
			end
			at = (skipped(source, at) or at) + 1
		end
	end
end

-- check(file, source): compile only; returns the names it uses, for `sandbox check`.
function ops.check(file, source)
	local chunk, problem = core.compile(source, file, {})
	if not chunk then error(problem, 0) end
	local names, seen = setmetatable({}, core.list_mt), {}
	for name in names_in(source) do
		if not seen[name] and #names < 20000 then
			seen[name] = true
			names[#names + 1] = name
		end
	end
	return names
end

---------------------------------------------------------------------------------- other modules' eyes

-- What a module of another sandbox sees through `depends`: plain data, functions and `module`.
local function look(host, name, path)
	local api = core.find_module(host, name)
	local value = api and api.environment
	if path:sub(1, 7) == "module." then
		local key = path:sub(8)
		if key == "name" or key == "host" or key == "global" then return api and api[key] end
		return nil
	end
	return value and value[path]
end

ops["environment.get"] = function(host, name, path)
	if path == "module" then return { "module" } end
	local value = look(host, name, path)
	if type(value) == "function" then return { "function" } end
	if value == nil or not core.is_plain(value, 1) then return { "nil" } end
	return { "value", value }
end

ops["environment.call"] = function(host, name, path, arguments)
	local f = look(host, name, path)
	if type(f) ~= "function" then error(name .. "." .. path .. " is not a function", 0) end
	return (guarded(f, table.unpack(arguments)))
end

function ops.items(host, key)
	local found = setmetatable({}, core.list_mt)
	for _, api in ipairs(core.modules_on(host)) do
		for _, item in ipairs((rawget(api, "items") or {})[key] or {}) do found[#found + 1] = item end
	end
	core.giving = true
	return found
end
