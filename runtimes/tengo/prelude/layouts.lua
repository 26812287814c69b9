-- Times as text after a layout such as "Jan _2 2006 15:04": Go's Time.Format and time.Parse.
--
-- A layout is the reference time, 01/02 03:04:05PM '06 -0700, written as the text is to look.  It
-- is cut into chunks {prefix, text, kind, detail}: literal text, then an element; the last chunk
-- has no kind.

local T = ...

local calendar, quote = T.calendar, T.durations.quote
local byte, find, format, gsub, len, lower, match, rep, sub = string.byte, string.find, string.format,
	string.gsub, string.len, string.lower, string.match, string.rep, string.sub
local concat, tonumber = table.concat, tonumber

local MONTHS <const> = {
	"January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
	"November", "December",
}
local DAYS <const> = { "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday" }

local function shortened(names)
	local short = {}
	for i = 1, #names do short[i] = sub(names[i], 1, 3) end
	return short
end
local SHORT_MONTHS <const>, SHORT_DAYS <const> = shortened(MONTHS), shortened(DAYS)

---------------------------------------------------------------------------------- layouts

-- The elements by their first byte, in the order in which they are tried.
local elements = {}

local function element(text, kind, detail)
	local first = sub(text, 1, 1)
	local list = elements[first] or {}
	elements[first] = list
	list[#list + 1] = { text, kind, detail }
end

element("January", "month_name", MONTHS)
element("Jan", "month_name", SHORT_MONTHS)
element("Monday", "day_name", DAYS)
element("Mon", "day_name", SHORT_DAYS)
element("MST", "zone")
element("01", "month", true)
element("02", "day", "0")
element("03", "hour12", true)
element("04", "minute", true)
element("05", "second", true)
element("06", "short_year")
element("002", "year_day", true)
element("15", "hour")
element("1", "month")
element("2006", "year")
element("2", "day")
element("_2006", "year") -- a literal underscore and a year
element("_2", "day", " ")
element("__2", "year_day")
element("3", "hour12")
element("4", "minute")
element("5", "second")
element("PM", "half", { "AM", "PM" })
element("pm", "half", { "am", "pm" })
for _, sign in ipairs { "-", "Z" } do
	local iso = sign == "Z"
	element(sign .. "070000", "offset", { iso = iso, minutes = true, seconds = true, colon = "" })
	element(sign .. "07:00:00", "offset", { iso = iso, minutes = true, seconds = true, colon = ":" })
	element(sign .. "0700", "offset", { iso = iso, minutes = true, colon = "" })
	element(sign .. "07:00", "offset", { iso = iso, minutes = true, colon = ":" })
	element(sign .. "07", "offset", { iso = iso, colon = "" })
end

-- The element at `position`: its text, kind and detail, or nil.
local function element_at(layout, position, first)
	if first == "." or first == "," then
		local digits = match(layout, "^0+", position + 1) or match(layout, "^9+", position + 1)
		if not digits or find(layout, "^%d", position + 1 + len(digits)) then return nil end
		return first .. digits, "fraction", { mark = first, digits = len(digits), fixed = byte(digits) == 48 }
	end
	local list = elements[first]
	for i = 1, #list do
		local text = list[i][1]
		if sub(layout, position, position + len(text) - 1) == text then
			-- "Month" has no "Mon" in it.
			local word = text == "Jan" or text == "Mon"
			if not (word and find(layout, "^%l", position + 3)) then
				return text, list[i][2], list[i][3]
			end
		end
	end
end

local function cut(layout)
	local chunks, n, start, position = {}, 0, 1, 1
	while true do
		position = find(layout, "[JM0-5_Pp%-Z.,]", position)
		if not position then break end
		local text, kind, detail = element_at(layout, position, sub(layout, position, position))
		if kind then
			if text == "_2006" then text, position = "2006", position + 1 end
			n = n + 1
			chunks[n] = { sub(layout, start, position - 1), text, kind, detail }
			position = position + len(text)
			start = position
		else position = position + 1 end
	end
	chunks[n + 1] = { sub(layout, start) }
	return chunks
end

-- The layouts of late, short ones only, so that a script cannot fill the memory with them.
local cache, cached = {}, 0

local function chunks_of(layout)
	local chunks = cache[layout]
	if chunks then return chunks end
	chunks = cut(layout)
	if len(layout) <= 64 then
		if cached >= 64 then cache, cached = {}, 0 end
		cache[layout], cached = chunks, cached + 1
	end
	return chunks
end

---------------------------------------------------------------------------------- formatting

local function padded(number, width)
	local digits = format("%d", number < 0 and -number or number)
	return (number < 0 and "-" or "") .. rep("0", width - len(digits)) .. digits
end

-- "+0100", after how the layout writes it.
local function offset_text(offset, detail)
	if detail.iso and offset == 0 then return "Z" end
	local positive = offset < 0 and -offset or offset
	local minutes = positive // 60
	-- Less than a minute west of Greenwich counts as east.
	local text = (offset < 0 and minutes > 0 and "-" or "+") .. padded(minutes // 60, 2)
	if detail.minutes then text = text .. detail.colon .. padded(minutes % 60, 2) end
	if detail.seconds then
		local second = minutes == 0 and offset < 0 and offset or positive % 60
		text = text .. detail.colon .. padded(second, 2)
	end
	return text
end

local PLAIN <const> = { minutes = true, colon = "" }

-- What an element shows of `f`, the parts of a time.
local writers = {
	month_name = function(f, names) return names[f.month] end,
	day_name = function(f, names) return names[calendar.weekday(f.time) + 1] end,
	zone = function(f) return f.time[5] ~= "" and f.time[5] or offset_text(f.time[4], PLAIN) end,
	month = function(f, two) return padded(f.month, two and 2 or 1) end,
	day = function(f, fill) return (f.day < 10 and fill or "") .. format("%d", f.day) end,
	hour12 = function(f, two) return padded((f.hour + 11) % 12 + 1, two and 2 or 1) end,
	minute = function(f, two) return padded(f.minute, two and 2 or 1) end,
	second = function(f, two) return padded(f.second, two and 2 or 1) end,
	short_year = function(f) return padded((f.year < 0 and -f.year or f.year) % 100, 2) end,
	year_day = function(f, zeros) return format(zeros and "%03d" or "%3d", calendar.year_day(f.time)) end,
	hour = function(f) return padded(f.hour, 2) end,
	year = function(f) return padded(f.year, 4) end,
	half = function(f, names) return names[f.hour >= 12 and 2 or 1] end,
	offset = function(f, detail) return offset_text(f.time[4], detail) end,
	fraction = function(f, detail)
		local nanoseconds = f.time[3]
		if not detail.fixed and nanoseconds == 0 then return "" end
		local text = detail.mark .. sub(format("%09d", nanoseconds), 1, detail.digits)
		return detail.fixed and text or (gsub(text, "[.,]?0*$", ""))
	end,
}

local function write(time, layout)
	local f = { time = time }
	f.year, f.month, f.day = calendar.date(time)
	f.hour, f.minute, f.second = calendar.clock(time)
	local out, n, chunks = {}, 0, chunks_of(layout)
	for i = 1, #chunks do
		local chunk = chunks[i]
		out[n + 1] = chunk[1]
		out[n + 2] = chunk[3] and writers[chunk[3]](f, chunk[4]) or ""
		n = n + 2
	end
	return concat(out)
end

---------------------------------------------------------------------------------- parsing

-- A number of one or two digits, or exactly two, at the start; and the text after it.
local function number(value, two)
	local digits = match(value, two and "^%d%d" or "^%d%d?")
	if not digits then return nil end
	return tonumber(digits), sub(value, len(digits) + 1)
end

local function signed(text)
	return match(text, "^[-+]?%d+$") and tonumber(text)
end

local function named(names, value)
	for i = 1, #names do
		local name = names[i]
		if lower(sub(value, 1, len(name))) == lower(name) then return i, sub(value, len(name) + 1) end
	end
end

-- Nanoseconds of a mark and digits, `size` bytes together.
local function nanoseconds(f, value, size)
	if not find(value, "^[.,]") then return false end
	if size > 10 then size = 10 end
	local count = signed(sub(value, 2, size))
	if not count then return false end
	if count < 0 then f.wrong = "fractional second" end
	for _ = size, 9 do count = count * 10 end
	f.nanosecond = count
	return true
end

-- The length of "+03" or "-11" at `start`, or 0.
local function hours_length(value, start)
	local digits = match(value, "^[-+](%d+)", start)
	return digits and tonumber(digits) <= 23 and len(digits) + 1 or 0
end

-- The length of what looks like the abbreviation of a zone, or 0.
local function zone_length(value)
	if len(value) < 3 then return 0 end
	local four = sub(value, 1, 4)
	if four == "ChST" or four == "MeST" then return 4 end
	if find(value, "^GMT") then return 3 + hours_length(value, 4) end
	if find(value, "^[-+]") then return hours_length(value, 1) end
	local upper = len(match(value, "^%u*"))
	if upper == 3 then return 3 end
	if upper == 4 and (sub(value, 4, 4) == "T" or four == "WITA") then return 4 end
	if upper == 5 and sub(value, 5, 5) == "T" then return 5 end
	return 0
end

-- One that reads a number into `field` and wants it in low .. high.
local function ranged(field, label, low, high)
	return function(f, value, two)
		local found, rest = number(value, two)
		if not found then return nil end
		f[field] = found
		if found < low or found > high then f.wrong = label end
		return rest
	end
end

local read_second = ranged("second", "second", 0, 59)

-- What reads an element into `f`.  Gives the text after it; nil for no such element there;
-- `f.wrong` names what is out of range.
local readers = {
	month_name = function(f, value, names)
		local rest
		f.month, rest = named(names, value)
		return rest
	end,
	day_name = function(_, value, names)
		local _, rest = named(names, value)
		return rest
	end,
	zone = function(f, value)
		if find(value, "^UTC") then
			f.utc = true
			return sub(value, 4)
		end
		local length = zone_length(value)
		if length == 0 then return nil end
		f.zone = sub(value, 1, length)
		return sub(value, length + 1)
	end,
	month = ranged("month", "month", 1, 12),
	day = function(f, value, fill)
		if fill == " " then value = gsub(value, "^ ", "") end
		local rest
		f.day, rest = number(value, fill == "0")
		return rest
	end,
	hour = ranged("hour", "hour", 0, 23),
	hour12 = ranged("hour", "hour", 0, 12),
	minute = ranged("minute", "minute", 0, 59),
	second = function(f, value, two, following)
		local rest = read_second(f, value, two)
		if not rest or f.wrong or following == "fraction" then return rest end
		-- A fraction is read even where the layout has none.
		local fraction = match(rest, "^[.,]%d+")
		if not fraction then return rest end
		nanoseconds(f, rest, len(fraction))
		return sub(rest, len(fraction) + 1)
	end,
	short_year = function(f, value)
		local year = len(value) >= 2 and signed(sub(value, 1, 2))
		if not year then return nil end
		f.year = year >= 69 and year + 1900 or year + 2000
		return sub(value, 3)
	end,
	year_day = function(f, value, zeros)
		if not zeros then value = gsub(value, "^ ? ?", "") end
		local digits = match(value, zeros and "^%d%d%d" or "^%d%d?%d?")
		if not digits then return nil end
		f.year_day = tonumber(digits)
		return sub(value, len(digits) + 1)
	end,
	year = function(f, value)
		local digits = match(value, "^%d%d%d%d")
		f.year = tonumber(digits or 0)
		return digits and sub(value, 5)
	end,
	half = function(f, value, names)
		local found = sub(value, 1, 2)
		if found ~= names[1] and found ~= names[2] then return nil end
		-- The later of two elements does not undo the earlier one.
		if found == names[2] then f.pm = true else f.am = true end
		return sub(value, 3)
	end,
	offset = function(f, value, detail)
		if detail.iso and find(value, "^Z") then
			f.utc = true
			return sub(value, 2)
		end
		local pattern = "^(.)(..)"
		if detail.minutes then pattern = pattern .. detail.colon .. "(..)" end
		if detail.seconds then pattern = pattern .. detail.colon .. "(..)" end
		local from, to, sign, hour, minute, second = find(value, pattern)
		if not from then return nil end
		local bad = false
		local function part(text, label, highest)
			local found = not bad and number(text, true) or nil
			if not found then bad = true end
			if found and found > highest then f.wrong = label end
			return found or 0
		end
		hour = part(hour, "time zone offset hour", 24)
		minute = part(minute or "00", "time zone offset minute", 60)
		second = part(second or "00", "time zone offset second", 60)
		local offset = (hour * 60 + minute) * 60 + second
		f.offset = sign == "-" and -offset or offset
		if bad or sign ~= "+" and sign ~= "-" then return nil end
		return sub(value, to + 1)
	end,
	fraction = function(f, value, detail)
		if not detail.fixed then
			local found = match(value, "^[.,]%d+")
			if found then nanoseconds(f, value, len(found)) end
			return sub(value, len(found or "") + 1)
		end
		local size = 1 + detail.digits
		if len(value) < size or not nanoseconds(f, value, size) then return nil end
		return sub(value, size + 1)
	end,
}

-- `value` without `prefix`, where a run of spaces is as good as any other; and whether it had it.
local function skipped(value, prefix)
	local i, j = 1, 1
	while i <= len(prefix) do
		local code = byte(prefix, i)
		if code == 32 then
			if j <= len(value) and byte(value, j) ~= 32 then return sub(value, j), false end
			i, j = find(prefix, "[^ ]", i) or len(prefix) + 1, find(value, "[^ ]", j) or len(value) + 1
		elseif byte(value, j) ~= code then return sub(value, j), false
		else i, j = i + 1, j + 1 end
	end
	return sub(value, j), true
end

-- Month and day of `f.year_day`, which must agree with those that were read; or what is wrong.
local function place_year_day(f)
	local of_year, month, day = f.year_day, nil, nil
	if calendar.is_leap(f.year) then
		if of_year == 60 then month, day = 2, 29
		elseif of_year > 60 then of_year = of_year - 1 end
	end
	if of_year < 1 or of_year > 365 then return ": day-of-year out of range" end
	if not month then
		month = (of_year - 1) // 31 + 1
		if calendar.BEFORE[month + 1] < of_year then month = month + 1 end
		day = of_year - calendar.BEFORE[month]
	end
	if f.month and f.month ~= month then return ": day-of-year does not match month" end
	if f.day and f.day ~= day then return ": day-of-year does not match day" end
	f.month, f.day = month, day
end

-- The time that the parts mean.  Of zones the local one, UTC, is known; others keep the offset
-- that was read, and an abbreviation without an offset counts as UTC under that name.
local function placed(f)
	local time = calendar.make(f.year, f.month, f.day, f.hour, f.minute, f.second, f.nanosecond, 0, "UTC")
	if f.utc then return time end
	local offset, zone = f.offset, f.zone or ""
	if offset and offset ~= -1 then
		if offset == 0 and (zone == "" or zone == "UTC") then return time end
		return T.time(time[2] - offset, time[3], offset, zone)
	end
	if zone == "" then return time end
	return T.time(time[2], time[3], (tonumber(match(zone, "^GMT(.+)")) or 0) * 3600, zone)
end

-- The time that `text` means after `layout`, or nil and what is wrong.
local function read(layout, text)
	local f = { year = 0, hour = 0, minute = 0, second = 0, nanosecond = 0 }
	local value, chunks = text, chunks_of(layout)

	local function fault(message) return nil, "parsing time " .. quote(text) .. message end
	local function unlike(part, wanted)
		return fault(" as " .. quote(layout) .. ": cannot parse " .. quote(part) .. " as " .. quote(wanted))
	end

	for i = 1, #chunks do
		local chunk, same = chunks[i], nil
		value, same = skipped(value, chunk[1])
		if not same then return unlike(value, chunk[1]) end
		if not chunk[3] then
			if value ~= "" then return fault(": extra text: " .. quote(value)) end
			break
		end
		local rest = readers[chunk[3]](f, value, chunk[4], chunks[i + 1][3])
		if f.wrong then return fault(": " .. f.wrong .. " out of range") end
		if not rest then return unlike(value, chunk[2]) end
		value = rest
	end
	if f.pm and f.hour < 12 then f.hour = f.hour + 12
	elseif f.am and f.hour == 12 then f.hour = 0 end
	if f.year_day then
		local message = place_year_day(f)
		if message then return fault(message) end
	end
	f.month, f.day = f.month or 1, f.day or 1
	if f.day < 1 or f.day > calendar.days_in(f.month, f.year) then return fault(": day out of range") end
	return placed(f)
end

T.layouts = { write = write, read = read, MONTHS = MONTHS }
