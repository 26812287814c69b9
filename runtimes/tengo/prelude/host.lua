-- Frames to the engine: host calls, notes, services of the Python side, and the output budget.
--
-- Guest code runs inside dispatcher coroutines that the Python side resumes with byte strings; a
-- question is a yield of an encoded body.  The first byte says what it is: 0 whole frames to write,
-- 1 the output budget is spent, 2 a question to a service, 0x94 a host call, 0x93 an answer.

local T = ...

local pack, concat, byte = string.pack, table.concat, string.byte
local yield, isyieldable, select = coroutine.yield, coroutine.isyieldable, select
local fail, encode, decode, decode_plain = T.fail, T.encode, T.decode, T.decode_plain

local HOST_RETURN <const> = 6
local ID_LENGTH <const> = { [0xcc] = 2, [0xcd] = 3, [0xce] = 5 }
T.ID_LENGTH = ID_LENGTH

local function ask(body)
	if not isyieldable() then fail("cannot wait for the engine here") end
	return yield(body)
end
T.ask = ask

local pending, pending_count, pending_bytes = {}, 0, 0

local function flush()
	if pending_count == 0 then return end
	local frames = concat(pending, "", 1, pending_count)
	pending, pending_count, pending_bytes = {}, 0, 0
	ask(frames)
end
T.flush = flush

-- Send a note: a message without an answer.
function T.note(topic, n, ...)
	local body = "\x93\x08" .. encode(topic) .. T.encode_list(n, ...)
	pending_count = pending_count + 1
	pending[pending_count] = pack(">s4", body)
	pending_bytes = pending_bytes + #body
	if isyieldable() then flush()
	elseif pending_bytes > 0x10000 then fail("too many messages at once") end
end

local call_id = 0

-- A HOST_RETURN or HOST_RAISE body, [kind, id, value or error]: whether it is the former, and where
-- its value begins.
local function opened(body)
	return byte(body, 2) == HOST_RETURN, 3 + (ID_LENGTH[byte(body, 3)] or 1)
end

local function sent(name, arguments)
	call_id = (call_id + 1) & 0xffffffff
	flush()
	return ask(pack(">BBBI4", 0x94, 0x05, 0xce, call_id) .. encode(name) .. arguments)
end

local function call(name, arguments, read)
	local body = sent(name, arguments)
	local ok, pos = opened(body)
	if ok then return (read(body, pos)) end
	local problem = decode_plain(body, pos)
	if problem.capability then T.denied = problem end
	fail(problem.message)
end

-- Call the engine's function `name` with `n` Tengo values; the result is a Tengo value.
function T.host(name, n, ...) return call(name, T.encode_list(n, ...), decode) end

-- The same with a result of plain Lua tables.
function T.host_plain(name, n, ...) return call(name, T.encode_list(n, ...), decode_plain) end

-- The same for what may fail: true and the result, or false, the reason, and the capability that
-- was not granted.
function T.try_host(name, n, ...)
	local body = sent(name, T.encode_list(n, ...))
	local ok, pos = opened(body)
	if ok then return true, (decode(body, pos)) end
	local problem = decode_plain(body, pos)
	return false, problem.message, problem.capability
end

function T.call_handle(handle, n, ...)
	return call("handle.call", "\x92" .. encode(handle) .. T.encode_list(n, ...), decode)
end

-- Ask a service of the Python side; plain data there and back.
function T.service(name, ...)
	flush()
	local answer = decode_plain(ask("\2" .. T.encode_plain { n = select("#", ...) + 1, name, ... }), 1)
	if answer[1] then return answer[2] end
	fail(answer[2])
end

-- Spend `amount` bytes of this call's output budget.  Running out ends the worker: the Python side
-- never resumes us.
T.output_limit, T.output_used = 1 << 20, 0
function T.spend(amount)
	local used = T.output_used + amount
	T.output_used = used
	if used <= T.output_limit then return end
	T.exhausted = true
	if isyieldable() then ask("\1" .. pack(">I8", used)) end
	fail("output limit exceeded")
end

-- One line for the engine's log.
function T.log(plugin, level, text)
	T.spend(#text)
	T.note("log", 4, plugin, "", level, text)
end

-- What a program prints goes where the run that is on says.
local sink
function T.output(text)
	if sink then return sink(text) end
	T.spend(#text)
end

-- Run `f(...)` with `to` as the place that output goes to; returns what `f` returns.
function T.with_output(to, f, ...)
	local before = sink
	sink = to
	return T.restored(function() sink = before end, f(...))
end
function T.restored(restore, ...)
	restore()
	return ...
end
