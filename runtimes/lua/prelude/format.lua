-- util.format: string.format for log lines, with Prosody's rules.
--
-- nil shows as (nil), a value that does not fit its conversion as [value], extra arguments are
-- appended as [value]; control characters become visible, lines are indented.

local core = ...

local format, gsub, match, tostring, type = string.format, string.gsub, string.match, tostring, type
local tointeger = math.tointeger
local utf8len, pack, error = utf8.len, table.pack, error

local NUMBERS <const> = { a = true, A = true, e = true, E = true, f = true, g = true, G = true }
local INTEGERS <const> = { d = true, i = true, c = true, o = true, u = true, x = true, X = true }

local pictures = {}
for code = 0, 31 do pictures[string.char(code)] = utf8.char(0x2400 + code) end
pictures["\127"], pictures["\t"], pictures["\n"] = utf8.char(0x2421), "\t", "\n\t"

local function visible(text)
	if not utf8len(text) then return (gsub(format("%q", text), "\\\n", "\\n")) end
	return (gsub(text, "[%c\127]", pictures))
end

local function shown(value, conversion)
	local kind = type(value)
	if value == nil then return "(nil)" end
	if conversion == "q" or (conversion == "s" and kind == "table" and not core.raw_getmetatable(value)) then
		if kind == "table" and conversion == "q" then return core.inspect(value) end
		if kind == "string" then return format("%q", value) end
	end
	return visible(tostring(value))
end

local function one(spec, conversion, value)
	if value == nil then return "(nil)" end
	if conversion == "s" then
		local text = shown(value, "s")
		return spec == "%s" and text or format(spec, text)
	end
	if conversion == "q" then return shown(value, "q") end
	if conversion == "p" then return format("%p", value) end
	local number = type(value) == "number" and value or nil
	if INTEGERS[conversion] and number then
		local integer = tointeger(number)
		-- Negative numbers in an unsigned conversion, and fractions, show as they are.
		if integer and (integer >= 0 or conversion == "d" or conversion == "i") then
			return format(spec, integer)
		end
	elseif NUMBERS[conversion] and number then return format(spec, number) end
	return "[" .. visible(tostring(value)) .. "]"
end

function core.library_format(template, ...)
	local args, used = pack(...), 0
	local text = gsub(template, "%%([-+ #0]*%d*%.?%d*)(.?)", function(flags, conversion)
		if conversion == "%" then return "%" end
		if not match(conversion, "[acdeEfgGiopqsuxXA]") then
			error("invalid conversion '%" .. flags .. conversion .. "' to 'format'", 3)
		end
		used = used + 1
		if conversion == "u" then conversion = "d" end
		return one("%" .. flags .. conversion, conversion, args[used])
	end)
	for i = used + 1, args.n do
		text = text .. " [" .. shown(args[i], "s") .. "]"
	end
	return text
end
