-- Dates: the arithmetic of Go's time package on the proleptic Gregorian calendar.
--
-- A time value is {TIME, seconds, nanoseconds, offset, zone}; see `T.time`.  The local zone of a
-- worker is UTC.  Integers wrap around as Go's do.

local T = ...

local DAY <const>, BILLION <const> = 86400, 1000000000
local MAX <const>, MIN <const> = math.maxinteger, math.mininteger
local civil = T.civil

-- Days of a common year before each month.
local BEFORE <const> = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365 }

local calendar = {}
T.calendar = calendar

local function is_leap(year) return year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0) end
calendar.is_leap, calendar.BEFORE = is_leap, BEFORE

-- How many days `month` has in `year`.
function calendar.days_in(month, year)
	if month == 2 and is_leap(year) then return 29 end
	return BEFORE[month + 1] - BEFORE[month]
end

-- The number of the day, 1970-01-01 being 0.  Years are counted from March here, in eras of 400
-- years, so that the leap day is the last of its year.
local function day_number(year, month, day)
	if month <= 2 then year = year - 1 end
	local era = year // 400
	local of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
	local year_of_era = year - era * 400
	local of_era = year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + of_year
	return era * 146097 + of_era - 719468
end
calendar.day_number = day_number

-- The day number of a time where its zone is, and the second of that day.
local function local_day(time)
	local seconds = time[2] + time[4]
	local days = seconds // DAY
	return days, seconds - days * DAY
end
calendar.local_day = local_day

-- Year, month and day.
function calendar.date(time) return civil((local_day(time))) end

-- Hour, minute and second.
function calendar.clock(time)
	local _, second = local_day(time)
	return second // 3600, second // 60 % 60, second % 60
end

-- The day of the week; Sunday is 0.
function calendar.weekday(time) return (local_day(time) + 4) % 7 end

-- The day of the year, from 1.
function calendar.year_day(time)
	local days = local_day(time)
	return days - day_number(civil(days), 1, 1) + 1
end

-- The time of a date and clock, each of which may be out of its range; as Go's time.Date.
local function make(year, month, day, hour, minute, second, nanosecond, offset, zone)
	month = month - 1
	year = year + month // 12
	second = second + nanosecond // BILLION
	local seconds = (day_number(year, month % 12 + 1, 1) + day - 1) * DAY + hour * 3600 + minute * 60 + second
	return T.time(seconds - offset, nanosecond % BILLION, offset, zone)
end
calendar.make = make

-- `time` plus so many years, months and days; 31 January and a month is 3 March.
function calendar.add_date(time, years, months, days)
	local year, month, day = calendar.date(time)
	local hour, minute, second = calendar.clock(time)
	return make(year + years, month + months, day + days, hour, minute, second, time[3], time[4], time[5])
end

-- The time `seconds` and `nanoseconds` after 1970; nanoseconds may be out of their range.
function calendar.unix(seconds, nanoseconds)
	return T.time(seconds + nanoseconds // BILLION, nanoseconds % BILLION, 0, "UTC")
end

-- `time` plus a duration in nanoseconds.
local function add(time, duration)
	local nanoseconds = time[3] + duration % BILLION
	return T.time(time[2] + duration // BILLION + nanoseconds // BILLION, nanoseconds % BILLION, time[4], time[5])
end
calendar.add = add

-- Go counts seconds from year 1, which decides how times at the very ends of the range compare.
local YEAR_1 <const> = 62135596800

function calendar.before(a, b)
	local x, y = a[2] + YEAR_1, b[2] + YEAR_1
	return x < y or x == y and a[3] < b[3]
end

-- The duration from `b` to `a` in nanoseconds; the largest or smallest where it does not fit.
function calendar.sub(a, b)
	local duration = (a[2] - b[2]) * BILLION + (a[3] - b[3])
	local there = add(b, duration)
	if there[2] == a[2] and there[3] == a[3] then return duration end
	return calendar.before(a, b) and MIN or MAX
end

function calendar.is_zero(time) return time[2] == -YEAR_1 and time[3] == 0 end
