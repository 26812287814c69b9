-- The private table that the prelude's files share.  No guest ever holds it.

local core = {
	ops = {},            -- operations the engine may call, by name
	module_api = {},     -- the methods of `module`
	hosts = { ["*"] = true },
	library_format = nil,
	giving = false,      -- whether functions may leave as handles in the current answer
}

-- One set of globals for all modules of this sandbox; each module's own writes stay in its own
-- environment in front of it.
local globals

function core.shared_globals()
	if globals then return globals end
	globals = core.new_globals(function(text) core.log("", "*", "info", (text:gsub("\n$", ""))) end)
	local loaded = {}
	local library_env = setmetatable({}, { __index = globals })
	globals.os = core.clock_library()
	globals.prosody = core.prosody_table()
	globals.hosts, globals.full_sessions = globals.prosody.hosts, globals.prosody.full_sessions
	globals.bare_sessions = globals.prosody.bare_sessions
	for name, make in next, core.native_libraries do loaded[name] = make() end
	globals.require = core.requirer(loaded, library_env)
	return globals
end

-- A library for the prelude's own use, through the same loader as a module's `require`.
function core.library(name) return core.shared_globals().require(name) end

-- What a guest that ran alone may have changed (the methods of a stanza it was given) ends with it.
function core.forget_libraries() globals = nil end

function core.new_stanza(parts)
	return core.library "util.stanza".received(parts[1], parts[2], parts[3])
end

-- Libraries that need the prelude: built here, not from source.
core.native_libraries = {
	["util.events"] = function() return { new = function() return core.new_bus() end } end,
	["util.timer"] = function() return { add_task = core.add_task, stop = core.stop_task } end,
	["util.format"] = function() return { format = core.library_format } end,
	["util.time"] = function() return { now = core.now, monotonic = core.now } end,
	["util.logger"] = function()
		return { init = function(name)
			return function(level, message, ...)
				core.log(name, "*", level, core.library_format(tostring(message), ...))
			end
		end }
	end,
}

local time = os.time
core.now = time

function core.prosody_table()
	local hosts = setmetatable({}, {
		__index = function(t, name)
			if not core.hosts[name] or name == "*" then return nil end
			local session = { host = name, type = "local", events = core.bus(name), sessions = {},
				modules = setmetatable({}, { __index = function(_, plugin)
					local api = core.find_module(name, plugin)
					return api and api.environment
				end }) }
			rawset(t, name, session)
			return session
		end,
		__pairs = function(t)
			for name in next, core.hosts do local _ = t[name] end
			return next, t, nil
		end,
	})
	return {
		hosts = hosts, events = core.bus("*"), full_sessions = {}, bare_sessions = {},
		platform = "sandbox", process_type = "plugin-sandbox", version = core.version or "",
		start_time = time(),
	}
end

return core
