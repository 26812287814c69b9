-- The module "math": Go's math package over floats.  Arguments that are no floats are converted.

local T = ...

local el, special, bessel = T.elementary, T.special, T.bessel
local to_float, to_int = T.to_float, T.to_int
local mathtype, abs, sqrt = math.type, math.abs, math.sqrt
local signbit, copysign, bits, from_bits = el.signbit, el.copysign, el.bits, el.from_bits
local INF <const>, NAN <const> = math.huge, 0.0 / 0.0

local module = {
	e = 2.71828182845904523536028747135266250,
	pi = 3.14159265358979323846264338327950288,
	phi = 1.61803398874989484820458683436563812,
	sqrt2 = 1.41421356237309504880168872420969808,
	sqrtE = 1.64872127070012814684865078781416357,
	sqrtPi = 1.77245385090551602729816748334114518,
	sqrtPhi = 1.27201964951406896425242246173749149,
	ln2 = 0.693147180559945309417232121458176568,
	log2E = 1.44269504088896340735992468100189214,
	ln10 = 2.30258509299404568401799145468436421,
	log10E = 0.43429448190325182765112891891660508,
}

---------------------------------------------------------------------------------- arguments

-- Floats as they are, with the sign of a zero.
local function as_float(value)
	if mathtype(value) == "float" then return value end
	return to_float(value)
end

local FLOAT <const> = { as_float, "float(compatible)" }
local INT <const> = { to_int, "int(compatible)" }

-- Adds a function of one float.
local function one(name, f)
	module[name] = T.user_function(function(n, a)
		if n ~= 1 then return T.wrong_arguments() end
		local x = as_float(a)
		if x == nil then return T.bad_argument(nil, "first", FLOAT[2], a) end
		return f(x)
	end)
end

-- Adds a function of an int.
local function of_int(name, f)
	module[name] = T.user_function(function(n, a)
		if n ~= 1 then return T.wrong_arguments() end
		local i = to_int(a)
		if not i then return T.bad_argument(nil, "first", INT[2], a) end
		return f(i)
	end)
end

-- Adds a function of two arguments of these kinds.
local function two(name, first, second, f)
	local convert_first, convert_second = first[1], second[1]
	module[name] = T.user_function(function(n, a, b)
		if n ~= 2 then return T.wrong_arguments() end
		local x = convert_first(a)
		if x == nil then return T.bad_argument(nil, "first", first[2], a) end
		local y = convert_second(b)
		if y == nil then return T.bad_argument(nil, "second", second[2], b) end
		return f(x, y)
	end)
end

---------------------------------------------------------------------------------- simple ones

one("abs", abs)
one("floor", function(x) return x // 1 end)
one("ceil", function(x) return -(-x // 1) end)
one("trunc", el.trunc)
one("sqrt", function(x) return x < 0 and NAN or sqrt(x) end)
one("signbit", signbit)
one("is_nan", function(x) return x ~= x end)
two("is_inf", FLOAT, INT, function(x, sign) return sign >= 0 and x == INF or sign <= 0 and x == -INF end)
of_int("inf", function(sign) return sign >= 0 and INF or -INF end)
two("copysign", FLOAT, FLOAT, copysign)

module.nan = T.user_function(function(n)
	if n ~= 0 then return T.wrong_arguments() end
	return NAN
end)

two("dim", FLOAT, FLOAT, function(x, y)
	local difference = x - y
	return difference <= 0 and 0.0 or difference
end)

two("max", FLOAT, FLOAT, function(x, y)
	if x == INF or y == INF then return INF end
	if x ~= x or y ~= y then return NAN end
	if x == 0 and y == 0 then return signbit(x) and y or x end
	return x > y and x or y
end)

two("min", FLOAT, FLOAT, function(x, y)
	if x == -INF or y == -INF then return -INF end
	if x ~= x or y ~= y then return NAN end
	if x == 0 and y == 0 then return signbit(x) and x or y end
	return x < y and x or y
end)

---------------------------------------------------------------------------------- remainders

two("mod", FLOAT, FLOAT, function(x, y)
	if y == 0 or abs(x) == INF or x ~= x or y ~= y then return NAN end
	return math.fmod(x, y)
end)

-- The IEEE 754 remainder: x minus the nearest multiple of y, the even one of two.
two("remainder", FLOAT, FLOAT, function(x, y)
	if x ~= x or y ~= y or abs(x) == INF or y == 0 then return NAN end
	if abs(y) == INF then return x end
	local negative = signbit(x)
	x, y = abs(x), abs(y)
	if x == y then return negative and -0.0 or 0.0 end
	if y <= 0x1.fffffffffffffp1022 then x = math.fmod(x, y + y) end
	if y < 0x1p-1021 then
		if x + x > y then
			x = x - y
			if x + x >= y then x = x - y end
		end
	elseif x > 0.5 * y then
		x = x - y
		if x >= 0.5 * y then x = x - y end
	end
	return negative and -x or x
end)

---------------------------------------------------------------------------------- exponents

-- The exponent of 2 of a number that is neither 0 nor infinite.
local function exponent(x)
	local _, e = el.frexp(x)
	return e - 1
end

one("ilogb", function(x)
	if x == 0 then return -0x80000000 end
	if x ~= x or abs(x) == INF then return 0x7fffffff end
	return exponent(x)
end)

one("logb", function(x)
	if x == 0 then return -INF end
	if x ~= x then return x end
	if abs(x) == INF then return INF end
	return exponent(x) + 0.0
end)

two("ldexp", FLOAT, INT, el.ldexp)

two("nextafter", FLOAT, FLOAT, function(x, y)
	if x ~= x or y ~= y then return NAN end
	if x == y then return x end
	if x == 0 then return copysign(0x1p-1074, y) end
	return from_bits(bits(x) + ((y > x) == (x > 0) and 1 or -1))
end)

-- Go multiplies two powers from tables; each is the float nearest to it.
of_int("pow10", function(n)
	if n > 308 then return INF end
	if n < -323 then return 0.0 end
	if n >= 0 then return tonumber("1e" .. n // 32 * 32) * tonumber("1e" .. n % 32) end
	return tonumber("1e-" .. -n // 32 * 32) / tonumber("1e" .. -n % 32)
end)

---------------------------------------------------------------------------------- the others

for _, name in ipairs { "sin", "cos", "tan", "atan", "asin", "log", "log2", "log1p", "exp", "exp2", "expm1" } do
	one(name, el[name])
end
for _, name in ipairs { "cbrt", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "erf", "erfc", "gamma" } do
	one(name, special[name])
end
for _, name in ipairs { "j0", "j1", "y0", "y1" } do one(name, bessel[name]) end
two("jn", INT, FLOAT, bessel.jn)
two("yn", INT, FLOAT, bessel.yn)
two("atan2", FLOAT, FLOAT, el.atan2)
two("pow", FLOAT, FLOAT, special.pow)

-- By these formulas, as Go has it, the results are not always the nearest floats.
one("log10", function(x) return el.log2(x) * 0.30102999566398119521373889472449302677 end)
one("acos", function(x) return math.pi / 2 - el.asin(x) end)

two("hypot", FLOAT, FLOAT, function(x, y)
	x, y = abs(x), abs(y)
	if x == INF or y == INF then return INF end
	if x ~= x or y ~= y then return NAN end
	if x < y then x, y = y, x end
	if x == 0 then return 0.0 end
	y = y / x
	return x * sqrt(1 + y * y)
end)

return module
