-- The dispatcher: bodies of CALL, NEST and NOTE frames in, bodies of RETURN and RAISE frames out.

local core = ...

local pack, byte, sub, type = string.pack, string.byte, string.sub, type
local xpcall, create, tostring = xpcall, coroutine.create, tostring
local unpack = table.unpack
local decode, ops, fault = core.decode, core.ops, core.fault

local NOTE <const> = 8
local bus = core.bus

-- fire(host, event, data): the first result that is not nil.
function ops.fire(host, event, data)
	local target = bus(host)
	if not target then error("no host " .. tostring(host), 0) end
	return target.fire_event(event, data)
end

function ops.timer(id, now) return core.run_timer(id, now) end
ops["function.call"] = function(id, arguments)
	local f = core.given[id]
	if not f then error("this function is gone", 0) end
	return f(unpack(arguments))
end

local notes = {
	listeners = function(host, event, priorities) core.listeners_changed(host, event, priorities) end,
}

local encode_after = core.encode_after

-- A call's id is never looked at: the bytes it came in are the bytes it goes out in.
local ID_LENGTH <const> = { [0xcc] = 2, [0xcd] = 3, [0xce] = 5 }

local function raised(id, problem)
	if type(problem) ~= "table" or not core.faults[problem] then problem = { message = core.text_of(problem) } end
	core.giving = false
	-- Lua says this in these words; the engine discards the worker, as at every limit.
	local kind = problem.message == "not enough memory" and "MemoryError" or problem.type or "error"
	return encode_after("\x93\x04" .. id, {
		type = kind, message = tostring(problem.message), file = problem.file,
		line = problem.line, frames = problem.frames, capability = problem.capability,
	})
end

local function run(f, id, ...) return encode_after("\x93\x03" .. id, f(...)) end

-- The arguments of a call: decoded one by one into locals, without a table around them.
local function arguments(body, pos, left)
	if left == 0 then return end
	local value, after = decode(body, pos)
	return value, arguments(body, after, left - 1)
end

local function answer(body)
	if byte(body, 2) == NOTE then
		local frame = decode(body, 1)
		notes[frame[2]](unpack(frame[3]))
		return ""
	end
	local pos = 3 + (ID_LENGTH[byte(body, 3)] or 1)
	local id, operation = sub(body, 3, pos - 1), nil
	operation, pos = decode(body, pos)
	core.output_used, core.denied, core.giving = 0, nil, false
	local f = ops[operation]
	if not f then return raised(id, "this runtime has no operation " .. tostring(operation)) end
	-- No operation has more than 15 arguments, so that their list has a one-byte header.
	local ok, reply = xpcall(run, fault, f, id, arguments(body, pos + 1, byte(body, pos) - 0x90))
	return ok and reply or raised(id, reply)
end

local function serve()
	local body = coroutine.yield()
	while true do
		local reply = answer(body)
		core.flush()
		-- Budget overruns inside C functions could not stop there; they stop here.
		if core.exhausted then core.ask("\1" .. pack(">I8", core.output_used)) end
		body = coroutine.yield(reply)
	end
end

-- A new dispatcher coroutine: nested calls run while another one waits for the engine.
function core.new_dispatcher()
	local co = create(serve)
	core.dispatchers[co] = true
	-- Started here, up to its first yield: lupa shows a coroutine that never ran as a function.
	coroutine.resume(co)
	return co
end

return core
