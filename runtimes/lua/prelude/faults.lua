-- What the engine is told when guest code fails: a message, the type, and the guest's own frames.

local core = ...

local getinfo, type, tostring, tointeger = debug.getinfo, type, tostring, math.tointeger
local match, sub = string.match, string.sub
local rawget = rawget

local MAX_TEXT <const>, MAX_FRAMES <const> = 4096, 50

-- Guest chunks are named "@file" by us; the prelude's own are named "=[sandbox]", and the
-- functions of the C library "=[C]".  Only guest frames are shown.
local function guest_frames(level)
	local frames, n = setmetatable({}, core.list_mt), 0
	while n < MAX_FRAMES do
		local info = getinfo(level, "Sln")
		if not info then break end
		if sub(info.source, 1, 1) == "@" then
			n = n + 1
			local name = info.name or (info.what == "main" and "main chunk") or "function"
			frames[n] = { sub(info.source, 2), info.currentline, name }
		end
		level = level + 1
	end
	-- Outermost first, as the engine wants them.
	for i = 1, n // 2 do frames[i], frames[n + 1 - i] = frames[n + 1 - i], frames[i] end
	return frames
end

-- A text for any error value, without running guest code (no __tostring, no __index).
local function text_of(problem)
	local kind = type(problem)
	if kind == "string" then return sub(problem, 1, MAX_TEXT) end
	if kind == "number" or kind == "boolean" or kind == "nil" then return tostring(problem) end
	if kind == "table" then
		for _, key in ipairs { "text", "message", "condition" } do
			local part = rawget(problem, key)
			if type(part) == "string" then return sub(part, 1, MAX_TEXT) end
		end
	end
	return "(error object is a " .. kind .. " value)"
end
core.text_of = text_of

-- Message handler for xpcall: the fault as a plain table.  Runs at the point of the error.
function core.fault(problem)
	if type(problem) == "table" and core.faults[problem] then return problem end
	local fault = { type = "error", frames = guest_frames(3) }
	local file, line, message
	if type(problem) == "string" then
		file, line, message = match(problem, "^([^\n:]+):(%d+): (.*)$")
	end
	if file then
		-- The position in the text is where `error` was called; frames say the same in full.
		fault.file, fault.line, fault.message = file, tointeger(line), sub(message, 1, MAX_TEXT)
	else
		fault.message = text_of(problem)
	end
	local denied = core.denied
	if denied and type(problem) == "string" and core.find(problem, denied.message, 1, true) then
		fault.type, fault.capability = "PolicyDenied", denied.capability
	end
	core.faults[fault] = true
	return fault
end

-- Faults that are ours, so that a second handler does not wrap them again.
core.faults = setmetatable({}, { __mode = "k" })
core.find = string.find
