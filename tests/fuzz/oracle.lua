-- What the real side of a Lua state holds, and whether a guest got hold of any of it.
--
-- Runs with the real globals, `debug` included, before and after a program.  `trusted` is every
-- object there is before the program starts; a guest may hold those that a walk from its fresh
-- environment finds, and none of the others.

local core = ...
local debug, next, type, rawget = debug, next, type, rawget
local getmetatable, raw_getmetatable = getmetatable, debug.getmetatable
local coroutine, rawequal = coroutine, rawequal
local getinfo, getupvalue, getlocal = debug.getinfo, debug.getupvalue, debug.getlocal
local tostring, format = tostring, string.format

local oracle = {}
local OBJECTS <const> = { table = true, ["function"] = true, thread = true, userdata = true }

local function is_ours(f) return getinfo(f, "S").source == "=[sandbox] oracle" end

-- Every object that can be reached by any means, with one way to it; but for what is this file's.
-- With `strong`, only what is kept by what can be reached.
local function everything(found, value, way, strong)
	local pending, ways, n = { value }, { way }, 1
	while n > 0 do
		local one, at = pending[n], ways[n]
		pending[n], ways[n], n = nil, nil, n - 1
		local kind = type(one)
		if OBJECTS[kind] and found[one] == nil and not rawequal(one, oracle) and not rawequal(one, found) then
			found[one] = at
			local function push(child, step)
				if OBJECTS[type(child)] and found[child] == nil then
					n = n + 1
					pending[n], ways[n] = child, at .. step
				end
			end
			push(raw_getmetatable(one), "<mt>")
			local mt = strong and kind == "table" and raw_getmetatable(one)
			local mode = mt and rawget(mt, "__mode")
			if kind == "table" and not mode then
				for key, item in next, one do
					push(key, "<key>")
					push(item, "." .. (type(key) == "string" and key or type(key)))
				end
			elseif kind == "function" and not is_ours(one) then
				for i = 1, 255 do
					local name, item = getupvalue(one, i)
					if name == nil then break end
					push(item, "^" .. name)
				end
			elseif kind == "thread" and not rawequal(one, (coroutine.running())) then
				for level = 0, 20 do
					local info = getinfo(one, level, "f")
					if not info then break end
					push(info.func, "<call>")
					for i = 1, 100 do
						local name, item = getlocal(one, level, i)
						if name == nil then break end
						push(item, "~" .. name)
					end
				end
			end
		end
	end
end

local function is_guest_function(f)
	local source = getinfo(f, "S").source
	return source:sub(1, 1) == "@" and source:sub(1, 5) ~= "@lib/"
end

-- Every object a guest can reach from `value` by the operations of its own language; `visit` may
-- stop the walk by returning true.
local function guest_walk(value, seen, visit)
	local pending, ways, n, count = { value }, { "_ENV" }, 1, 0
	while n > 0 and count < 20000 do
		local one, way = pending[n], ways[n]
		pending[n], ways[n], n = nil, nil, n - 1
		if OBJECTS[type(one)] and not seen[one] then
			seen[one] = true
			count = count + 1
			if visit and visit(one, way) then return true end
			local function push(child, step)
				if OBJECTS[type(child)] and not seen[child] then
					n = n + 1
					pending[n], ways[n] = child, way .. step
				end
			end
			push(getmetatable(one), "<mt>")
			if type(one) == "table" then
				for key, item in next, one do
					push(key, "<key>")
					push(item, "." .. (type(key) == "string" and key or type(key)))
				end
			elseif type(one) == "function" and is_guest_function(one) then
				for i = 1, 255 do
					local name, item = getupvalue(one, i)
					if name == nil then break end
					-- What a guest's function keeps, the guest had; a whole chunk's _ENV it has.
					push(item, "^" .. name)
				end
			end
		end
	end
end

-- Tables whose contents are meant to change while a guest runs, by the end of the way to them.
local CHANGES <const> = {
	"^core$", "^registry$", "%.dispatchers$", "%.faults$", "%.given$", "%.registries$", "%^pending$", "%^short$", "%^pieces$",
	"%^compiled$", "%^given$", "%^given_id$", "%^timers$", "%^modules$", "%^buses$", "%^foreign$", "%^shared$", "%^loaded$",
	"%^handle_of$", "%^closure_of$", "%^is_list_mt$", "%^is_stanza_mt$", "%.is_list_mt$", "%.is_stanza_mt$", "%^globals$", "%^compiled_bytes$", "%^run$", "%^output$", "%^answer$", "%.body$", "%.headers$", "~[%w_%(%) ]+$",
}
-- In modules also what belongs to the sandbox as a whole, at any depth.
local SHARED <const> = {
	"%^modules", "%.registries", "%^registr", "%^buses", "%^foreign", "%^handlers", "%^sorted", "%^wrappers", "%.sorted",
	"%^shared", "%^timers", "~", "%^host_timers",
}

local function may_change(way)
	for i = 1, #CHANGES do
		if way:find(CHANGES[i]) then return true end
	end
	for i = 1, oracle.module and #SHARED or 0 do
		if way:find(SHARED[i]) then return true end
	end
	return false
end

local trusted, allowed, before, core_before

-- Look at the state as it is before a program, whose environment is `env`.
function oracle.look(env)
	trusted, allowed, before = {}, {}, {}
	everything(trusted, core, "core")
	everything(trusted, _G, "_G")
	everything(trusted, debug.getmetatable "", "string<mt>")
	everything(trusted, debug.getregistry(), "registry")
	local co = coroutine.running()
	for level = 1, 30 do
		local info = getinfo(level, "f")
		if not info then break end
		if not is_ours(info.func) then
			everything(trusted, info.func, "~call")
			for i = 1, 100 do
				local name, item = getlocal(level, i)
				if name == nil then break end
				everything(trusted, item, "~" .. name)
			end
		end
	end
	guest_walk(env, allowed)
	-- A script's own, made for this one request.
	local required, server = pcall(env.require, "server")
	if required and type(server) == "table" and not oracle.module then
		guest_walk(server, allowed)
	end
	allowed[co] = true -- coroutine.running() gives it; it cannot be resumed or closed
	if oracle.module then
		-- Modules of a sandbox share its libraries and trust each other.
		for name in next, core.library_sources do guest_walk(core.library(name), allowed) end
		for name in next, core.native_libraries do guest_walk(core.library(name), allowed) end
		guest_walk(core.bus "h", allowed)
		guest_walk(core.bus "*", allowed)
		local _ = core.shared_globals().prosody.hosts.h
		guest_walk(core.shared_globals(), allowed)
	end
	for object, way in next, trusted do
		if type(object) == "table" and not allowed[object] and not may_change(way) then
			local copy = {}
			for key, item in next, object do copy[key] = item end
			before[object] = copy
		end
	end
	core_before = {}
	for key, item in next, core do
		if type(item) ~= "number" and type(item) ~= "boolean" then core_before[key] = item end
	end
	oracle.env = env
end

local function changed()
	for object, copy in next, before do
		local way = trusted[object]
		for key, item in next, object do
			if not rawequal(copy[key], item) and rawequal(item, item) then return way .. "." .. tostring(key) .. " changed" end
		end
		for key in next, copy do
			if rawget(object, key) == nil then return way .. "." .. tostring(key) .. " is gone" end
		end
	end
	for key, item in next, core_before do
		if key ~= "denied" and not rawequal(core[key], item) then return "core." .. key .. " changed" end
	end
end

-- What the program that ran in the environment that was looked at got, or nil.
function oracle.verdict()
	if not oracle.env then return nil end
	local problem
	local lasting = {}
	if not oracle.module then
		lasting[coroutine.running() or core] = false
		everything(lasting, core, "core", true)
	end
	guest_walk(oracle.env, {}, function(object, way)
		-- Timers of one sandbox share their methods as its modules do.
		if trusted[object] and not allowed[object] and not trusted[object]:find "%^timer_mt" then
			problem = format("%s at %s is %s", type(object), way, trusted[object])
			return true
		elseif type(object) == "table" and lasting[object] then
			-- The next program must not find what this one can change.
			problem = format("table at %s outlives the program as %s", way, lasting[object])
			return true
		end
	end)
	problem = problem or changed()
	oracle.env, trusted, allowed, before = nil, nil, nil, nil
	return problem
end

-- A program's first statement is a call of `oracle_start`, which it then has no more.
local function prepare(env)
	env.oracle_start = function()
		env.oracle_start = nil
		oracle.look(env)
	end
end

local new_globals, compile = core.new_globals, core.compile

function core.new_globals(write)
	local env = new_globals(write)
	if not oracle.module then prepare(env) end
	return env
end

function core.compile(source, file, env)
	local chunk, problem = compile(source, file, env)
	if chunk and oracle.module and file == "fuzz.lua" then prepare(env) end
	return chunk, problem
end

return oracle
