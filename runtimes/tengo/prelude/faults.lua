-- What the engine is told when a program fails: Tengo's message, the type, and the places.
--
-- Emitted chunks are named "@" and a number, and `T.programs[number]` knows the place in the source
-- of every line of theirs.  Nothing in Tengo catches an error, so a fault is worded once, here.

local T = ...

local getinfo, type, tonumber = debug.getinfo, type, tonumber
local sub, find, unpack, tointeger = string.sub, string.find, string.unpack, math.tointeger
local getmetatable, setmetatable, ipairs = getmetatable, setmetatable, ipairs

local MAX_TEXT <const>, MAX_FRAMES <const> = 4096, 50
local OPERATORS <const> = { "<", "<=", ">", ">=" }

local programs = {}
T.programs = programs

-- The place of a line of an emitted chunk: file, line, column, operator.
local function place(source, line)
	local program = programs[tointeger(tonumber(sub(source, 2)))]
	if not program or line < 1 or #program.places < line * 16 then return nil end
	local file, row, column, operator = unpack("<I4I4I4I4", program.places, line * 16 - 15)
	if row == 0 then return nil end
	return program.files[file + 1], row, column, OPERATORS[operator]
end

-- Guest frames, innermost first: {file, line, function, column}, and the innermost one's operator.
local function guest_frames(level)
	local frames, n, first_operator = {}, 0, nil
	while n < MAX_FRAMES do
		local info = getinfo(level, "Sln")
		if not info then break end
		if sub(info.source, 1, 1) == "@" then
			local file, line, column, operator = place(info.source, info.currentline)
			if file then
				n = n + 1
				frames[n] = T.array({ file, line, info.name or "", column }, 4)
				if n == 1 then first_operator = operator end
			end
		end
		level = level + 1
	end
	return frames, n, first_operator
end

local function worded(problem)
	if type(problem) == "table" and getmetatable(problem) == T.failure_mt then return problem.message end
	if type(problem) ~= "string" then return "(error object is a " .. type(problem) .. " value)" end
	-- Lua's words for a recursion too deep; Tengo's are shorter.
	if find(problem, "stack overflow", 1, true) then return "stack overflow" end
	return problem
end

-- The words of a comparison that cannot be: which of the four it was, only the place knows.
local function comparison(problem, operator)
	if not operator or operator == problem.operator then
		return "invalid operation: " .. problem.left .. " " .. problem.operator .. " " .. problem.right
	end
	return "invalid operation: " .. problem.right .. " " .. operator .. " " .. problem.left
end

local is_fault = setmetatable({}, { __mode = "k" })
function T.is_fault(problem) return is_fault[problem] end

-- A fault as it leaves: `frames` outermost first.
function T.new_fault(kind, message, file, line, column, frames)
	local fault = { type = kind, message = sub(message, 1, MAX_TEXT), file = file, line = line, column = column,
		frames = T.array(frames, #frames) }
	is_fault[fault] = true
	return fault
end

-- Message handler for xpcall: the fault.  Runs at the point of the error.
function T.fault(problem)
	if is_fault[problem] or problem == T.PANIC then return problem end
	local frames, n, operator = guest_frames(3)
	local message
	if type(problem) == "table" and problem.operator then message = comparison(problem, operator)
	else message = worded(problem) end
	if message == "not enough memory" then return T.new_fault("MemoryError", message, nil, nil, nil, {}) end
	-- What the original dies of has these words already.
	if sub(message, 1, 14) ~= "runtime error:" then message = "Runtime Error: " .. message end
	local innermost = frames[1]
	local file, line, column
	if innermost then file, line, column = innermost[2][1], innermost[2][2], innermost[2][4] end
	for i = 1, n // 2 do frames[i], frames[n + 1 - i] = frames[n + 1 - i], frames[i] end
	local fault = T.new_fault("error", message, file, line, column, frames)
	local denied = T.denied
	if denied and find(message, denied.message, 1, true) then
		fault.type, fault.capability = "PolicyDenied", denied.capability
	end
	return fault
end

-- The map that leaves for a fault.
function T.fault_value(fault)
	if type(fault) ~= "table" or not is_fault[fault] then
		local message = worded(fault)
		fault = { type = message == "not enough memory" and "MemoryError" or "error", message = message,
			frames = T.array({}, 0) }
	end
	local value = T.map()
	for _, name in ipairs { "type", "message", "file", "line", "column", "frames", "capability", "excerpt" } do
		if fault[name] ~= nil then T.map_set(value, name, fault[name]) end
	end
	return value
end
