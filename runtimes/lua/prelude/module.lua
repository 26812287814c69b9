-- The `module` object: Prosody's module API over this sandbox's buses and the engine.
--
-- Everything a module registers is recorded in its `api` object's registry and undone on unload.
-- Reading order: identity, hooks, items, dependencies, timers, logging and status.

local core = ...

local type, error, ipairs, next, xpcall = type, error, ipairs, next, xpcall
local setmetatable, rawget, tostring, select = setmetatable, rawget, tostring, select
local insert, remove, unpack, pack = table.insert, table.remove, table.unpack, table.pack
local format = core.library_format

local api = core.module_api

---------------------------------------------------------------------------------- identity

function api:get_name() return self.name end
function api:get_host() return self.host end
function api:get_host_type()
	if self.host == "*" then return "global" end
	return core.hosts[self.host] and "local" or nil
end

-- Plugins have no file system; paths are names below the plugin's own folder.
function api:get_directory() return "." end

function api:set_global()
	self.host = "*"
	self.global = true
	self.log_source = "mod_" .. self.name
end

---------------------------------------------------------------------------------- hooks

local function registry(self) return core.registries[self] end

local function bus_of(self) return core.bus(self.host) or core.bus("*") end

local function record(self, bus, event, handler, undo)
	local hooks = registry(self).hooks
	hooks[#hooks + 1] = { bus = bus, event = event, handler = handler, undo = undo }
end

function api:hook_object_event(object, event, handler, priority)
	if handler == nil then error("module:hook: no handler given for event '" .. tostring(event) .. "'", 2) end
	record(self, object, event, handler, "remove_handler")
	return object.add_handler(event, handler, priority)
end

function api:unhook_object_event(object, event, handler)
	local hooks = registry(self).hooks
	for i = #hooks, 1, -1 do
		local hook = hooks[i]
		if hook.bus == object and hook.event == event and hook.handler == handler then remove(hooks, i) end
	end
	return object.remove_handler(event, handler)
end

function api:hook(event, handler, priority)
	return self:hook_object_event(bus_of(self), event, handler, priority)
end

function api:unhook(event, handler)
	return self:unhook_object_event(bus_of(self), event, handler)
end

function api:hook_global(event, handler, priority)
	return self:hook_object_event(core.bus("*"), event, handler, priority)
end

function api:hook_tag(xmlns, name, handler, priority)
	if not handler and type(name) == "function" then
		-- The namespace is optional: hook_tag(name, handler, priority).
		xmlns, name, handler, priority = nil, xmlns, name, handler
	end
	if not handler or not name then
		return self:log("warn", "Error: Insufficient parameters to module:hook_tag()")
	end
	return self:hook("stanza/" .. (xmlns and (xmlns .. ":") or "") .. name, function(data)
		return handler(data.origin, data.stanza, data)
	end, priority)
end
api.hook_stanza = api.hook_tag

function api:wrap_object_event(object, event, wrapper)
	record(self, object, event, wrapper, "remove_wrapper")
	return object.add_wrapper(event, wrapper)
end

function api:wrap_event(event, wrapper) return self:wrap_object_event(bus_of(self), event, wrapper) end
function api:wrap_global(event, wrapper) return self:wrap_object_event(core.bus("*"), event, wrapper) end

function api:fire_event(event, data) return bus_of(self).fire_event(event, data) end

---------------------------------------------------------------------------------- items

function api:add_item(key, value)
	self.items[key] = self.items[key] or {}
	insert(self.items[key], value)
	core.note("items", self.name, self.host, key, #self.items[key])
	self:fire_event("item-added/" .. key, { source = self, item = value })
end

function api:remove_item(key, value)
	local list = (rawget(self, "items") or {})[key]
	for i = list and #list or 0, 1, -1 do
		if list[i] == value then
			remove(list, i)
			core.note("items", self.name, self.host, key, #list)
			self:fire_event("item-removed/" .. key, { source = self, item = value })
			return value
		end
	end
end

function api:get_host_items(key)
	local found = {}
	for _, one in ipairs(core.modules_on(self.host)) do
		for _, item in ipairs((rawget(one, "items") or {})[key] or {}) do found[#found + 1] = item end
	end
	for _, item in ipairs(core.host("items.elsewhere", self.host, key) or {}) do found[#found + 1] = item end
	return found
end

function api:handle_items(key, added, removed, existing)
	self:hook("item-added/" .. key, added)
	self:hook("item-removed/" .. key, removed)
	if existing ~= false then
		for _, item in ipairs(self:get_host_items(key)) do added { item = item } end
	end
end

function api:provides(name, item)
	if not item then
		item = {}
		for key, value in next, self.environment do
			if key ~= "module" then item[key] = value end
		end
	end
	if not item.name then
		local plain = self.name
		-- mod_auth_ldap that provides "auth" is called "ldap".
		if plain:sub(1, #name + 1) == name:gsub("%-", "_") .. "_" then plain = plain:sub(#name + 2) end
		item.name = plain
	end
	item._provided_by = self.name
	self:add_item(name .. "-provider", item)
end

function api:add_feature(xmlns) self:add_item("feature", xmlns) end
function api:add_identity(category, kind, name)
	self:add_item("identity", { category = category, type = kind, name = name })
end
function api:add_extension(data) self:add_item("extension", data) end

---------------------------------------------------------------------------------- dependencies

-- A module of another sandbox: its plain globals are read and its functions called through the
-- engine.  No reference crosses, so each read is the value of that moment.
local function proxy(host, name, prefix)
	local path = function(key) return prefix .. tostring(key) end
	return setmetatable({}, {
		__metatable = false,
		__index = function(_, key)
			local kind, value = unpack(core.host("environment.get", host, name, path(key)) or {}, 1, 2)
			if kind == "function" then
				return function(...)
					local arguments = setmetatable({ ... }, core.list_mt)
					for i = 1, select("#", ...) do
						if arguments[i] == nil then
							error("nil as an argument cannot cross to another sandbox's function", 2)
						end
					end
					return core.host("environment.call", host, name, path(key), arguments)
				end
			elseif kind == "module" then return proxy(host, name, path(key) .. ".")
			else return value end
		end,
		__newindex = function() error("module " .. name .. " runs in another sandbox and is read-only here", 2) end,
	})
end

function api:depends(name)
	local where = core.host("module.depends", self.host, self.name, name)
	if where.here then
		local target = core.find_module(where.host, name)
		if target then return target.environment end
	end
	return proxy(where.host, name, "")
end

function api:require(lib)
	local source, file, problem = unpack(core.host("module.library", self.name, lib), 1, 3)
	if not source then error("Failed to load plugin library '" .. tostring(lib) .. "', error: " .. problem, 2) end
	-- Libraries run again at every call, in the module's environment: Prosody does not cache them.
	local env = setmetatable({ module = self }, { __index = self.environment, __newindex = self.environment })
	local chunk, fault = core.compile(source, file, env)
	if not chunk then
		error("Failed to load plugin library '" .. lib .. "', error: " .. fault.file .. ":" .. fault.line .. ": " .. fault.message, 2)
	end
	return chunk(lib)
end

local shared = setmetatable({}, { __mode = "v" })

function api:shared(...)
	local kept = registry(self).shared
	local found = {}
	for i, path in ipairs { ... } do
		if path:sub(1, 1) ~= "/" then
			local _, slashes = path:gsub("/", "")
			if slashes == 0 then path = "/" .. self.host .. "/" .. self.name .. "/" .. path
			elseif slashes == 1 then path = "/" .. self.host .. "/" .. path
			else path = "/" .. path end
		end
		local t = shared[path]
		if not t then
			t = path:match "%-cache$" and setmetatable({}, { __mode = "kv" }) or {}
			shared[path] = t
		end
		kept[path] = t
		found[i] = t
	end
	return unpack(found)
end

function api:context(host)
	host = host or "*"
	local target = self
	local proxy_api = setmetatable({ host = host, global = host == "*" }, {
		__index = function(_, key) return target[key] end,
		__newindex = function(_, key, value) target[key] = value end,
	})
	core.registries[proxy_api] = registry(self)
	return proxy_api
end

---------------------------------------------------------------------------------- timers

-- timers[id] = {run, kept}: `kept` is the set of its module's timers, which unloading stops.
local timers, timer_count = {}, 0

local function forget(id)
	local timer = timers[id]
	timers[id] = nil
	if timer and timer.kept then timer.kept[id] = nil end
	return timer ~= nil
end

-- End a timer; unknown ids are fine.
function core.stop_task(id)
	if forget(id) then core.host("timer.cancel", id) end
end

local timer_mt = { __index = {} }
function timer_mt.__index:stop() core.stop_task(self.id) end
timer_mt.__index.disarm = timer_mt.__index.stop
function timer_mt.__index:reschedule(delay)
	if timers[self.id] then core.host("timer.add", self.id, delay, self.plugin) end
end

local function start(plugin, delay, kept, run)
	timer_count = timer_count + 1
	local timer = setmetatable({ id = timer_count, plugin = plugin }, timer_mt)
	core.host("timer.add", timer.id, delay, plugin)
	timers[timer.id] = { run = run, kept = kept }
	if kept then kept[timer.id] = true end
	return timer
end

function api:add_timer(delay, callback, ...)
	local args, this = pack(...), self
	return start(self.name, delay, registry(self).timers, function(now)
		if this.loaded == false then return end
		return callback(now, unpack(args, 1, args.n))
	end)
end

-- util.timer.add_task: not tied to a module's life.
function core.add_task(delay, callback, param)
	local timer
	timer = start("", delay, nil, function(now) return callback(now, timer.id, param) end)
	return timer.id
end

-- The engine says that timer `id` is due.  Returns the delay until it wants to run again, or nil.
function core.run_timer(id, now)
	local timer = timers[id]
	if not timer then return nil end
	local ok, again = xpcall(timer.run, core.fault, now)
	if ok and type(again) == "number" and timers[id] then return again end
	forget(id)
	if not ok then error(again, 0) end
	return nil
end

---------------------------------------------------------------------------------- log and status

local LEVELS <const> = { debug = true, info = true, warn = true, error = true }

function api:log(level, message, ...)
	if not LEVELS[level] then return end
	if message == nil then error("module:log: no message given", 2) end
	core.log(self.name, self.host, level, format(tostring(message), ...))
end

local RANK <const> = { core = 0, info = 1, warn = 2, error = 3 }

function api:set_status(kind, message, override)
	local rank = RANK[kind]
	if not rank then
		self:log("error", "set_status: Invalid status type '%s', assuming 'info'", tostring(kind))
		kind, rank = "info", 1
	end
	local current = self.status_type or "core"
	-- A worse status stands until something at least as bad, or an override, replaces it.
	if override ~= true and RANK[current] == 3 and rank < 3 then return end
	self.status_type, self.status_message, self.status_time = kind, message, core.now()
	core.note("status", self.name, self.host, kind, message or "")
	self:fire_event("module-status/updated", { name = self.name })
end

function api:log_status(level, message, ...)
	self:set_status(level, format(tostring(message), ...))
	return self:log(level, message, ...)
end

function api:get_status()
	return self.status_type, self.status_message, self.status_time
end

-- Statistics are kept by the engine per sandbox; a module's own probes are accepted and inert.
function api:measure(name, kind)
	self:add_item("measure", { name = name, type = kind })
	local function inert() return inert end
	return inert
end

function api:metric()
	local inert
	inert = setmetatable({}, { __index = function() return function() return inert end end, __call = function() return inert end })
	return inert
end
