-- The module "times": Go's time package over time values and durations in nanoseconds.
--
-- The local zone is UTC.  Tengo 2.10.0 has no function that takes the name of a zone.

local T = ...

local calendar, durations, layouts = T.calendar, T.durations, T.layouts
local fmod = math.fmod

local NANOSECOND <const>, MICROSECOND <const>, MILLISECOND <const> = 1, 1000, 1000000
local SECOND <const>, MINUTE <const>, HOUR <const> = 1000000000, 60000000000, 3600000000000

local module = {
	format_ansic = "Mon Jan _2 15:04:05 2006",
	format_unix_date = "Mon Jan _2 15:04:05 MST 2006",
	format_ruby_date = "Mon Jan 02 15:04:05 -0700 2006",
	format_rfc822 = "02 Jan 06 15:04 MST",
	format_rfc822z = "02 Jan 06 15:04 -0700",
	format_rfc850 = "Monday, 02-Jan-06 15:04:05 MST",
	format_rfc1123 = "Mon, 02 Jan 2006 15:04:05 MST",
	format_rfc1123z = "Mon, 02 Jan 2006 15:04:05 -0700",
	format_rfc3339 = "2006-01-02T15:04:05Z07:00",
	format_rfc3339_nano = "2006-01-02T15:04:05.999999999Z07:00",
	format_kitchen = "3:04PM",
	format_stamp = "Jan _2 15:04:05",
	format_stamp_milli = "Jan _2 15:04:05.000",
	format_stamp_micro = "Jan _2 15:04:05.000000",
	format_stamp_nano = "Jan _2 15:04:05.000000000",
	nanosecond = NANOSECOND, microsecond = MICROSECOND, millisecond = MILLISECOND,
	second = SECOND, minute = MINUTE, hour = HOUR,
}
for number, name in ipairs(layouts.MONTHS) do module[string.lower(name)] = number end

---------------------------------------------------------------------------------- arguments

local ORDINALS <const> = { "first", "second", "third", "fourth", "fifth", "sixth", "seventh" }
local INT <const> = { T.to_int, "int(compatible)" }
local TIME <const> = { T.to_time, "time(compatible)" }
local STRING <const> = { T.to_string, "string(compatible)" }

-- Adds the function `name` that takes arguments of these kinds and hands them to `f`.
local function add(name, kinds, f)
	local count = #kinds
	local function refused(i, value) return T.bad_argument(nil, ORDINALS[i], kinds[i][2], value) end
	local called
	if count == 0 then
		called = function(n)
			if n ~= 0 then return T.wrong_arguments() end
			return f()
		end
	elseif count == 1 then
		local convert = kinds[1][1]
		called = function(n, a)
			if n ~= 1 then return T.wrong_arguments() end
			local x = convert(a)
			if x == nil then return refused(1, a) end
			return f(x)
		end
	else
		called = function(n, ...)
			if n ~= count then return T.wrong_arguments() end
			local values, first = { ... }, (...)
			for i = 1, count do
				local value = values[i]
				local x = kinds[i][1](value)
				if x == nil then
					-- before() names the type of its first argument in both cases.
					return refused(i, name == "before" and first or value)
				end
				values[i] = x
			end
			return f(table.unpack(values, 1, count))
		end
	end
	module[name] = T.user_function(called)
end

-- A value, or the error of a function that gives nil and a message.
local function or_error(value, message)
	if value == nil then return T.error(message) end
	return value
end

---------------------------------------------------------------------------------- durations

add("parse_duration", { STRING }, function(text) return or_error(durations.parse(text)) end)
add("duration_string", { INT }, durations.text)
add("duration_nanoseconds", { INT }, function(duration) return duration end)

-- So many units, as Go computes it: whole ones, and a quotient of the rest.
local function in_units(unit)
	return function(duration)
		local rest = fmod(duration, unit)
		return (duration - rest) // unit + rest / unit
	end
end
add("duration_hours", { INT }, in_units(HOUR))
add("duration_minutes", { INT }, in_units(MINUTE))
add("duration_seconds", { INT }, in_units(SECOND))

---------------------------------------------------------------------------------- the clock

local function now()
	local nanoseconds = T.service("now")
	return T.time(nanoseconds // SECOND, nanoseconds % SECOND, 0, "UTC")
end

-- Waits, which costs wall time and no processor time: the limits of the run end it.
add("sleep", { INT }, function(duration)
	if duration > 0 then T.service("sleep", duration) end
	return nil
end)
add("now", {}, now)
add("since", { TIME }, function(time) return calendar.sub(now(), time) end)
add("until", { TIME }, function(time) return calendar.sub(time, now()) end)

---------------------------------------------------------------------------------- times

add("date", { INT, INT, INT, INT, INT, INT, INT }, function(year, month, day, hour, minute, second, nanosecond)
	return calendar.make(year, month, day, hour, minute, second, nanosecond, 0, "UTC")
end)
add("unix", { INT, INT }, calendar.unix)
add("add", { TIME, INT }, calendar.add)
add("add_date", { TIME, INT, INT, INT }, calendar.add_date)
add("sub", { TIME, TIME }, calendar.sub)
add("after", { TIME, TIME }, function(a, b) return calendar.before(b, a) end)
add("before", { TIME, TIME }, calendar.before)
add("is_zero", { TIME }, calendar.is_zero)

local function in_utc(time) return T.time(time[2], time[3], 0, "UTC") end
add("to_local", { TIME }, in_utc)
add("to_utc", { TIME }, in_utc)

---------------------------------------------------------------------------------- their parts

-- Adds a function that gives one of the values that `f` gives for a time.
local function part(name, f, which)
	add(name, { TIME }, function(time) return (select(which, f(time))) end)
end
part("time_year", calendar.date, 1)
part("time_month", calendar.date, 2)
part("time_day", calendar.date, 3)
part("time_hour", calendar.clock, 1)
part("time_minute", calendar.clock, 2)
part("time_second", calendar.clock, 3)
add("time_weekday", { TIME }, calendar.weekday)
add("time_nanosecond", { TIME }, function(time) return time[3] end)
add("time_unix", { TIME }, function(time) return time[2] end)
add("time_unix_nano", { TIME }, function(time) return time[2] * SECOND + time[3] end)
add("time_location", { TIME }, function(time) return time[5] end)

---------------------------------------------------------------------------------- text

-- An integer whose sign bit counts as 2^63.
local function unsigned(number)
	if number >= 0 then return string.format("%d", number) end
	local tenth = (number >> 1) // 5
	return string.format("%d%d", tenth, number - tenth * 10)
end

add("month_string", { INT }, function(month)
	return layouts.MONTHS[month] or "%!Month(" .. unsigned(month) .. ")"
end)
add("time_format", { TIME, STRING }, layouts.write)
add("time_string", { TIME }, function(time)
	return layouts.write(time, "2006-01-02 15:04:05.999999999 -0700 MST")
end)
add("parse", { STRING, STRING }, function(layout, text) return or_error(layouts.read(layout, text)) end)

return module
