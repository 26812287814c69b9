-- Go's math/rand: the additive lagged Fibonacci generator, its distributions, and the ziggurats.
--
-- A source is {words, tap, feed, bytes, left}: 607 words, two indexes into them from 0, and what is
-- left of the last number that `read` cut into bytes.  Same seed, same numbers as in Go.

local T = ...

local exp, log, sqrt = math.exp, T.elementary.log, math.sqrt
local pack, unpack, sub, concat = string.pack, string.unpack, string.sub, table.concat

local LENGTH <const>, DISTANCE <const> = 607, 273
local INT32_MAX <const>, INT63 <const> = 0x7fffffff, math.maxinteger

local table_words = T.rand_table

---------------------------------------------------------------------------------- the source

-- A source started with `seed`, which counts modulo 2^31 - 1.
local function seeded(source, seed)
	local words, x = {}, math.fmod(seed, INT32_MAX)
	if x < 0 then x = x + INT32_MAX end
	if x == 0 then x = 89482311 end
	for _ = 1, 20 do x = x * 48271 % INT32_MAX end
	for i = 1, LENGTH do
		local y = x * 48271 % INT32_MAX
		local z = y * 48271 % INT32_MAX
		local w = z * 48271 % INT32_MAX
		words[i] = (y << 40) ~ (z << 20) ~ w ~ table_words[i]
		x = w
	end
	source[1], source[2], source[3], source[4], source[5] = words, 0, LENGTH - DISTANCE, 0, 0
	return source
end

local function int63(source)
	local words, tap, feed = source[1], source[2] - 1, source[3] - 1
	if tap < 0 then tap = tap + LENGTH end
	if feed < 0 then feed = feed + LENGTH end
	local x = words[feed + 1] + words[tap + 1]
	words[feed + 1] = x
	source[2], source[3] = tap, feed
	return x & INT63
end

local function float64(source)
	local x
	repeat x = int63(source) / 0x1p63 until x ~= 1.0
	return x
end

-- Uniform in 0 .. n - 1; `bits` 63 or 31 is how much of a number is looked at.
local function below(source, n, bits)
	local shift = 63 - bits
	if n & n - 1 == 0 then return int63(source) >> shift & n - 1 end
	local top = INT63 >> shift
	local highest = top - (top % n + 1) % n
	local x
	repeat x = int63(source) >> shift until x <= highest
	return x % n
end

local function int63n(source, n)
	if n <= 0 then return T.fail("invalid argument to Int63n") end
	return below(source, n, 63)
end

local function perm(source, n)
	-- Go refuses what cannot be a slice; less than that fails here for want of memory.
	if n < 0 or n > 1 << 44 then return T.fail("runtime error: makeslice: len out of range") end
	local list = {}
	for i = 0, n - 1 do
		local j = below(source, i + 1, i < INT32_MAX and 31 or 63)
		list[i + 1] = list[j + 1]
		list[j + 1] = i
	end
	return list
end

-- `count` bytes, seven of each number.
local function read(source, count)
	local parts, used = {}, 0
	local value, left = source[4], source[5]
	while count > 0 do
		if left == 0 then value, left = int63(source), 7 end
		local taken = left < count and left or count
		used = used + 1
		parts[used] = sub(pack("<i8", value), 1, taken)
		value, left, count = value >> 8 * taken, left - taken, count - taken
	end
	source[4], source[5] = value, left
	return concat(parts)
end

---------------------------------------------------------------------------------- ziggurats

-- Go computes in float32 there, and where it rounds decides which numbers come out.
local function single(x) return (unpack("<f", pack("<f", x))) end

-- The tables of Marsaglia & Tsang, "The Ziggurat Method for Generating Random Variables" (2000):
-- `strips` strips of area `area` below the density `f`, whose inverse is `inverse`; `edge` is
-- where the tail begins, `scale` what a whole number of bits stands for.
local function ziggurat(strips, edge, area, scale, f, inverse)
	local limits, widths, heights = {}, {}, {}
	local last, x, previous = strips - 1, edge, edge
	local base = area / f(edge)
	limits[0], limits[1] = edge / base * scale // 1 | 0, 0
	widths[0], widths[last] = single(base / scale), single(edge / scale)
	heights[0], heights[last] = 1.0, single(f(edge))
	for i = last - 1, 1, -1 do
		x = inverse(area / x + f(x))
		limits[i + 1] = x / previous * scale // 1 | 0
		previous = x
		heights[i], widths[i] = single(f(x)), single(x / scale)
	end
	return limits, widths, heights
end

local NORMAL_EDGE <const>, EXPONENTIAL_EDGE <const> = 3.442619855899, 7.69711747013104972

local kn, wn, fn = ziggurat(128, NORMAL_EDGE, 9.91256303526217e-3, 0x1p31,
	function(x) return exp(-0.5 * x * x) end, function(y) return sqrt(-2 * log(y)) end)
local ke, we, fe = ziggurat(256, EXPONENTIAL_EDGE, 3.949659822581572e-3, 0x1p32,
	function(x) return exp(-x) end, function(y) return -log(y) end)

-- Whether a number in strip `i` that is not surely below the curve is below it at `density`.
local function accepted(source, heights, i, density)
	local low, high = heights[i], heights[i - 1]
	local offset = single(single(float64(source)) * single(high - low))
	return single(low + offset) < single(density)
end

local function normal(source)
	while true do
		local j = int63(source) >> 31
		if j > INT32_MAX then j = j - 0x100000000 end
		local i = j & 0x7f
		local x = j * wn[i]
		if (j < 0 and -j or j) < kn[i] then return x end
		if i == 0 then
			local y
			repeat
				x = -log(float64(source)) * (1.0 / NORMAL_EDGE)
				y = -log(float64(source))
			until y + y >= x * x
			return j > 0 and NORMAL_EDGE + x or -NORMAL_EDGE - x
		end
		if accepted(source, fn, i, exp(-0.5 * x * x)) then return x end
	end
end

local function exponential(source)
	while true do
		local j = int63(source) >> 31
		local i = j & 0xff
		local x = j * we[i]
		if j < ke[i] then return x end
		if i == 0 then return EXPONENTIAL_EDGE - log(float64(source)) end
		if accepted(source, fe, i, exp(-x)) then return x end
	end
end

---------------------------------------------------------------------------------- what is offered

-- The source behind the functions of the module itself; without words it is not started yet.
local global = {}

-- Forget the seed and the position of the global source; for the start of a run.
function T.fresh_random() global[1] = nil end

-- The global source.  A script that gave no seed gets another one each time, as since Go 1.20.
local function started()
	if not global[1] then seeded(global, T.service("random_seed")) end
	return global
end

T.random = {
	started = started, global = global, seeded = seeded, int63 = int63, int63n = int63n,
	float64 = float64, normal = normal, exponential = exponential, perm = perm, read = read,
	tables = { kn = kn, wn = wn, fn = fn, ke = ke, we = we, fe = fe },
}
