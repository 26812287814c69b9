-- The dispatcher: bodies of CALL, NEST and NOTE frames in, bodies of RETURN and RAISE frames out.

local T = ...

local pack, byte, sub = string.pack, string.byte, string.sub
local xpcall, create, resume, yield, tostring = xpcall, coroutine.create, coroutine.resume, coroutine.yield, tostring
local decode, ops = T.decode, T.ops
local ID_LENGTH <const> = T.ID_LENGTH
local NOTE <const> = 8

-- An operation gives back an encoded value.
local function run(f, id, ...) return "\x93\x03" .. id .. f(...) end

local function raised(id, problem) return "\x93\x04" .. id .. T.encode(T.fault_value(problem)) end

-- The arguments of a call, one by one.
local function arguments(body, pos, left)
	if left == 0 then return end
	local value, after = decode(body, pos)
	return value, arguments(body, after, left - 1)
end

local function answer(body)
	if byte(body, 2) == NOTE then return "" end
	local pos = 3 + (ID_LENGTH[byte(body, 3)] or 1)
	local id, operation = sub(body, 3, pos - 1), nil
	operation, pos = decode(body, pos)
	T.output_used, T.denied = 0, nil
	local f = ops[operation]
	if not f then return raised(id, "this runtime has no operation " .. tostring(operation)) end
	-- No operation has more than 15 arguments, so that their list has a one-byte header.
	local ok, reply = xpcall(run, T.fault, f, id, arguments(body, pos + 1, byte(body, pos) - 0x90))
	return ok and reply or raised(id, reply)
end

local function serve()
	local body = yield()
	while true do
		local reply = answer(body)
		T.flush()
		if T.exhausted then T.ask("\1" .. pack(">I8", T.output_used)) end
		body = yield(reply)
	end
end

-- A new dispatcher coroutine: nested calls run while another one waits for the engine.
function T.new_dispatcher()
	local co = create(serve)
	-- Started here, up to its first yield: lupa shows a coroutine that never ran as a function.
	resume(co)
	return co
end

-- Most of what programs make is short-lived, and the prelude is long-lived: a collector by
-- generations does not visit the latter again and again.
collectgarbage()
collectgarbage "generational"

return T
