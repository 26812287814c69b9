-- Durations as text: Go's time.ParseDuration and Duration.String.  A duration is an int of
-- nanoseconds.

local T = ...

local byte, find, format, len, match, rep, sub =
	string.byte, string.find, string.format, string.len, string.match, string.rep, string.sub
local concat, ult = table.concat, math.ult

-- MIN is 2^63 when numbers count as unsigned.
local MIN <const>, TENTH <const> = math.mininteger, math.maxinteger // 10

local durations = {}
T.durations = durations

-- How Go's time package quotes what it could not read: bytes outside ASCII and control characters
-- one by one, unlike strconv.Quote.
local function quote(text)
	local out = {}
	for i = 1, len(text) do
		local code = byte(text, i)
		if code < 32 or code >= 128 then out[i] = format("\\x%02x", code)
		elseif code == 34 or code == 92 then out[i] = "\\" .. sub(text, i, i)
		else out[i] = sub(text, i, i) end
	end
	return '"' .. concat(out) .. '"'
end
durations.quote = quote

local UNITS <const> = {
	ns = 1, us = 1000, ["\u{b5}s"] = 1000, ["\u{3bc}s"] = 1000, ms = 1000000, s = 1000000000,
	m = 60000000000, h = 3600000000000,
}

-- The value of decimal digits, unsigned and at most 2^63, or nil.
local function whole(digits)
	local value = 0
	for i = 1, len(digits) do
		if value > TENTH or value < 0 then return nil end
		value = value * 10 + byte(digits, i) - 48
		if ult(MIN, value) then return nil end
	end
	return value
end

-- The value of the digits after a point, and the power of ten it is to be divided by.  Digits that
-- do not fit are dropped.
local function fraction(digits)
	local value, scale = 0, 1.0
	for i = 1, len(digits) do
		if value > TENTH or value < 0 then break end
		local more = value * 10 + byte(digits, i) - 48
		if ult(MIN, more) then break end
		value, scale = more, scale * 10
	end
	return value, scale
end

local function as_float(unsigned) return unsigned < 0 and 0x1p63 or unsigned + 0.0 end

-- The duration that `text` such as "-1h15m30.5s" means, or nil and what is wrong.
function durations.parse(text)
	local invalid = "time: invalid duration " .. quote(text)
	local total, position = 0, 1
	local sign = match(text, "^[-+]")
	if sign then position = 2 end
	local rest = sub(text, position)
	if rest == "0" then return 0 end
	if rest == "" then return nil, invalid end
	local last = len(text)
	while position <= last do
		if not find(text, "^[0-9.]", position) then return nil, invalid end
		local before = match(text, "^[0-9]*", position)
		local value = whole(before)
		if not value then return nil, invalid end
		position = position + len(before)
		local after, part, scale = match(text, "^%.([0-9]*)", position), 0, 1.0
		if after then
			position = position + 1 + len(after)
			part, scale = fraction(after)
		end
		if before == "" and (after or "") == "" then return nil, invalid end
		local name = match(text, "^[^0-9.]*", position)
		if name == "" then return nil, "time: missing unit in duration " .. quote(text) end
		local unit = UNITS[name]
		if not unit then
			return nil, "time: unknown unit " .. quote(name) .. " in duration " .. quote(text)
		end
		position = position + len(name)
		-- 2^63 itself, as an unsigned number, fits only into nanoseconds.
		if unit > 1 and (value < 0 or value > math.maxinteger // unit) then return nil, invalid end
		value = value * unit
		if part ~= 0 then
			value = value + (as_float(part) * (unit / scale) // 1 | 0)
			if ult(MIN, value) then return nil, invalid end
		end
		total = total + value
		if ult(MIN, total) then return nil, invalid end
	end
	if sign == "-" then return -total end
	if total < 0 then return nil, invalid end
	return total
end

-- A quotient with up to `places` decimals, without trailing zeros.
local function decimal(whole_part, rest, places)
	if rest == 0 then return format("%d", whole_part) end
	local digits = format("%d", rest)
	digits = rep("0", places - len(digits)) .. digits
	return format("%d.", whole_part) .. match(digits, "^(.-)0*$")
end

-- "72h3m0.5s", "1.5ms", "0s".
function durations.text(duration)
	if duration == 0 then return "0s" end
	if duration == MIN then return "-2562047h47m16.854775808s" end
	local sign = ""
	if duration < 0 then sign, duration = "-", -duration end
	if duration < 1000 then return format("%s%dns", sign, duration) end
	if duration < 1000000 then
		return sign .. decimal(duration // 1000, duration % 1000, 3) .. "\u{b5}s"
	end
	if duration < 1000000000 then
		return sign .. decimal(duration // 1000000, duration % 1000000, 6) .. "ms"
	end
	local seconds = duration // 1000000000
	local minutes = seconds // 60
	local text = decimal(seconds % 60, duration % 1000000000, 9) .. "s"
	if minutes > 0 then
		text = format("%dm", minutes % 60) .. text
		if minutes >= 60 then text = format("%dh", minutes // 60) .. text end
	end
	return sign .. text
end
