-- Frames to the engine: host calls, notes, and the output budget.
--
-- Frame kinds and their fields are those of sandbox/wire/frames.py.

local core = ...

local pack, concat, byte = string.pack, table.concat, string.byte
local select, error, isyieldable = select, error, coroutine.isyieldable
local encode, decode, ask = core.encode, core.decode, core.ask

local HOST_RETURN <const> = 6

local function encoded(value)
	local out = {}
	return concat(out, "", 1, encode(value, out, 0, 1))
end

local call_id, pending, pending_count, pending_bytes = 0, {}, 0, 0

-- Notes wait here while a C function is on the stack; "\0" tells the Python side that what it
-- gets is whole frames to write, not the body of an answer.
local function flush()
	if pending_count == 0 then return end
	local frames = concat(pending, "", 1, pending_count)
	pending, pending_count, pending_bytes = {}, 0, 0
	ask(frames)
end
core.flush = flush

function core.note(topic, ...)
	local out = { "\x93\x08" }
	local n = encode(topic, out, 1, 1)
	out[n + 1] = core.encode_list(select("#", ...), ...)
	pending_count = pending_count + 1
	pending[pending_count] = pack(">s4", concat(out, "", 1, n + 1))
	pending_bytes = pending_bytes + #pending[pending_count]
	if isyieldable() then flush()
	elseif pending_bytes > 0x10000 then error("too many messages while a C function is on the stack", 0) end
end

local function finish(body)
	local fields = decode(body, 1)
	if byte(body, 2) == HOST_RETURN then return fields[3] end
	local problem = fields[3]
	if problem.capability then core.denied = problem end
	error(problem.message, 0)
end

local function asked(name, arguments)
	call_id = (call_id + 1) & 0xffffffff
	flush()
	return ask(pack(">BBBI4", 0x94, 0x05, 0xce, call_id) .. encoded(name) .. arguments)
end

local function call(name, arguments) return finish(asked(name, arguments)) end

-- As `core.host`, but a failure is returned, not raised, unless it is a missing grant.
function core.try_host(name, ...)
	local body = asked(name, core.encode_list(select("#", ...), ...))
	local fields = decode(body, 1)
	if byte(body, 2) ~= HOST_RETURN and not fields[3].capability then return false, fields[3].message end
	return true, finish(body)
end

-- Call the engine's function `name`; returns its result or raises its refusal as an error.
function core.host(name, ...) return call(name, core.encode_list(select("#", ...), ...)) end

function core.call_handle(handle, ...)
	return call("handle.call", "\x92" .. encoded(handle) .. core.encode_list(select("#", ...), ...))
end

-- Spend `amount` bytes of this call's output budget.  Running out ends the worker, not just an
-- error that the guest could catch: the Python side never resumes us.
core.output_limit, core.output_used = 1 << 20, 0
function core.spend(amount)
	local used = core.output_used + amount
	core.output_used = used
	if used <= core.output_limit then return end
	core.exhausted = true
	if isyieldable() then ask("\1" .. pack(">I8", used)) end
	error("output limit exceeded", 0)
end

-- What guests print in modules and what they log: one line for the engine's log.
function core.log(plugin, host, level, text)
	core.spend(#text)
	core.note("log", plugin, host, level, text)
end
