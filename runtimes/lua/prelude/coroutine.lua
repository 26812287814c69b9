-- Asking the engine, from any depth of coroutines.
--
-- Guest code runs inside dispatcher coroutines that the Python side resumes with byte strings.  A
-- host call is a yield of the encoded frame out of the dispatcher: no Python callback, no Python
-- frame or exception inside Lua.  When the guest is inside a coroutine of its own, the yield must
-- pass through every resume up to the dispatcher; it carries a private token that no guest can
-- name, so a guest's own yields are never taken for a host call, and a guest cannot forge one.

local core = ...

local create, resume, yield = coroutine.create, coroutine.resume, coroutine.yield
local running, status, close = coroutine.running, coroutine.status, coroutine.close
local isyieldable = coroutine.isyieldable
local error, type, rawequal = error, type, rawequal

local TOKEN = {}
local dispatchers = setmetatable({}, { __mode = "k" })
core.dispatchers = dispatchers

-- Hand `frame` to the Python side and return what it resumes us with.
local function ask(frame)
	if dispatchers[running()] then return yield(frame) end
	if not isyieldable() then
		error("cannot wait for the engine here: a C function is on the stack "
			.. "(string.gsub, table.sort or an iterator of theirs)", 0)
	end
	return yield(TOKEN, frame)
end
core.ask = ask

-- Compared raw: `==` would hand the token to the `__eq` of a table that a guest yields.
local function pump(co, ok, first, ...)
	if ok and rawequal(first, TOKEN) then return pump(co, resume(co, ask((...)))) end
	return ok, first, ...
end

local function guest_resume(co, ...)
	if type(co) == "thread" and dispatchers[co] then return false, "cannot resume this coroutine" end
	return pump(co, resume(co, ...))
end

local function guest_yield(...)
	if dispatchers[running()] then error("attempt to yield from outside a coroutine", 2) end
	return yield(...)
end

local function unwrap(co, ok, ...)
	if ok then return ... end
	local problem = (...)
	if status(co) == "dead" then close(co) end
	error(problem, 0)
end

local function guest_wrap(f)
	local co = create(f)
	return function(...) return unwrap(co, pump(co, resume(co, ...))) end
end

-- The `coroutine` library that a guest sees.
function core.coroutine_library()
	return {
		create = create,
		resume = guest_resume,
		yield = guest_yield,
		wrap = guest_wrap,
		status = status,
		close = function(co)
			if type(co) == "thread" and dispatchers[co] then error("cannot close this coroutine", 2) end
			return close(co)
		end,
		running = function()
			local co, main = running()
			return co, main or dispatchers[co] or false
		end,
		isyieldable = function() return isyieldable() and not dispatchers[running()] end,
	}
end
