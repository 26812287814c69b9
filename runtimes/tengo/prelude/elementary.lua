-- Elementary functions as Go computes them, so that results agree to the last digit.
--
-- Go's math package is written after FreeBSD's msun and Moshier's Cephes library; the algorithms
-- and coefficients here are those of these libraries: sin, cos, tan, atan, tanh from Cephes, log,
-- log1p, expm1 from msun.  exp is the C library's, which like Go's errs by less than one digit.

local T = ...

local abs, sqrt, exp = math.abs, math.sqrt, math.exp
local INF <const>, NAN <const>, PI <const> = math.huge, 0.0 / 0.0, math.pi
local pack, unpack = string.pack, string.unpack

local LN2_HIGH <const>, LN2_LOW <const> = 6.93147180369123816490e-01, 1.90821492927058770002e-10
local LN2 <const> = 0.693147180559945309417232121458176568

---------------------------------------------------------------------------------- bits

local function bits(x) return (unpack("<i8", pack("<d", x))) end
local function from_bits(i) return (unpack("<d", pack("<i8", i))) end
local function signbit(x) return x < 0 or x == 0 and 1 / x < 0 or x ~= x and bits(x) < 0 end
local function copysign(x, sign)
	x = abs(x)
	return signbit(sign) and -x or x
end

-- `x` in 0.5 .. 1 times a power of two.
local function frexp(x)
	if x == 0 or x ~= x or x == INF or x == -INF then return x, 0 end
	local shift = 0
	if abs(x) < 0x1p-1022 then x, shift = x * 0x1p52, -52 end
	local i = bits(x)
	return from_bits(i & ~(0x7ff << 52) | 1022 << 52), (i >> 52 & 0x7ff) - 1022 + shift
end

local function ldexp(fraction, exponent)
	if fraction == 0 or fraction ~= fraction or abs(fraction) == INF then return fraction end
	local f, e = frexp(fraction)
	exponent = exponent + (e - 1)
	if exponent < -1075 then return copysign(0.0, fraction) end
	if exponent > 1023 then return fraction < 0 and -INF or INF end
	local rest = 1.0
	if exponent < -1022 then exponent, rest = exponent + 53, 0x1p-53 end
	return rest * from_bits(bits(f) & ~(0x7ff << 52) | exponent + 1023 << 52)
end

-- Towards zero, a float.
local function trunc(x) return x < 0 and -(-x // 1) or x // 1 end

---------------------------------------------------------------------------------- logarithms

local function log(x)
	if x ~= x or x == INF then return x end
	if x < 0 then return NAN end
	if x == 0 then return -INF end
	local f, k = frexp(x)
	if f < 0.70710678118654752440 then f, k = f * 2, k - 1 end
	f = f - 1
	local s = f / (2 + f)
	local s2 = s * s
	local s4 = s2 * s2
	local t1 = s2 * (6.666666666666735130e-01 + s4 * (2.857142874366239149e-01 + s4 * (1.818357216161805012e-01
		+ s4 * 1.479819860511658591e-01)))
	local t2 = s4 * (3.999999999940941908e-01 + s4 * (2.222219843214978396e-01 + s4 * 1.531383769920937332e-01))
	local half = 0.5 * f * f
	return k * LN2_HIGH - ((half - (s * (half + (t1 + t2)) + k * LN2_LOW)) - f)
end

local function log2(x)
	local f, k = frexp(x)
	-- Exact for powers of two.
	if f == 0.5 then return k - 1.0 end
	return log(f) * 1.44269504088896340735992468100189214 + k
end

local function log1p(x)
	if x < -1 or x ~= x then return NAN end
	if x == -1 then return -INF end
	if x == INF then return x end
	local size = abs(x)
	local k, f, c, tiny = 0, x, 0.0, false
	if size < 4.142135623730950488017e-01 and size < 0x1p-29 then
		return size < 0x1p-54 and x or x - x * x * 0.5
	end
	if size >= 4.142135623730950488017e-01 or x <= -2.928932188134524755992e-01 then
		local u = x
		if size < 0x1p53 then u = 1.0 + x end
		local i = bits(u)
		k = (i >> 52) - 1023
		if size < 0x1p53 then c = (k > 0 and 1.0 - (u - x) or x - (u - 1.0)) / u end
		i = i & 0x000fffffffffffff
		if i < 0x0006a09e667f3bcd then u = from_bits(i | 0x3ff0000000000000)
		else
			k = k + 1
			u = from_bits(i | 0x3fe0000000000000)
			i = 0x0010000000000000 - i >> 2
		end
		f, tiny = u - 1.0, i == 0
	end
	local half = 0.5 * f * f
	if tiny then
		if f == 0 then
			if k == 0 then return 0.0 end
			return k * LN2_HIGH + (c + k * LN2_LOW)
		end
		local r = half * (1.0 - 0.66666666666666666 * f)
		return k == 0 and f - r or k * LN2_HIGH - ((r - (k * LN2_LOW + c)) - f)
	end
	local s = f / (2.0 + f)
	local z = s * s
	local r = z * (6.666666666666735130e-01 + z * (3.999999999940941908e-01 + z * (2.857142874366239149e-01
		+ z * (2.222219843214978396e-01 + z * (1.818357216161805012e-01 + z * (1.531383769920937332e-01
		+ z * 1.479819860511658591e-01))))))
	if k == 0 then return f - (half - s * (half + r)) end
	return k * LN2_HIGH - ((half - (s * (half + r) + (k * LN2_LOW + c))) - f)
end

---------------------------------------------------------------------------------- exponentials

local function exp2(x)
	if x ~= x or x == INF then return x end
	if x > 1.0239999999999999e+03 then return INF end
	if x < -1.0740e+03 then return 0.0 end
	local k = 0
	if x > 0 then k = (x + 0.5) // 1 | 0 elseif x < 0 then k = -((0.5 - x) // 1 | 0) end
	local t = x - k
	local high, low = t * LN2_HIGH, -t * LN2_LOW
	local r = high - low
	local s = r * r
	local c = r - s * (1.66666666666666657415e-01 + s * (-2.77777777770155933842e-03 + s * (6.61375632143793436117e-05
		+ s * (-1.65339022054652515390e-06 + s * 4.13813679705723846039e-08))))
	return ldexp(1 - ((low - (r * c) / (2 - c)) - high), k)
end

local function expm1(x)
	if x == INF or x ~= x then return x end
	if x == -INF then return -1.0 end
	local size, k, c = abs(x), 0, 0.0
	if size >= 3.88162421113569373274e+01 then
		if x < 0 then return -1.0 end
		if size >= 7.09782712893383973096e+02 then return INF end
	end
	if size > 3.46573590279972654709e-01 then
		local high, low
		if size < 1.03972077083991796413e+00 then
			k = x < 0 and -1 or 1
			high, low = x - k * LN2_HIGH, k * LN2_LOW
		else
			local scaled = 1.44269504088896338700e+00 * x
			k = x < 0 and -((0.5 - scaled) // 1 | 0) or (scaled + 0.5) // 1 | 0
			high, low = x - k * LN2_HIGH, k * LN2_LOW
		end
		x = high - low
		c = (high - x) - low
	elseif size < 0x1p-54 then return x end
	local half = 0.5 * x
	local squared = x * half
	local r1 = 1 + squared * (-3.33333333333331316428e-02 + squared * (1.58730158725481460165e-03
		+ squared * (-7.93650757867487942473e-05 + squared * (4.00821782732936239552e-06
		+ squared * -2.01099218183624371326e-07))))
	local t = 3 - r1 * half
	local e = squared * ((r1 - t) / (6.0 - x * t))
	if k == 0 then return x - (x * e - squared) end
	e = x * (e - c) - c
	e = e - squared
	if k == -1 then return 0.5 * (x - e) - 0.5 end
	if k == 1 then return x < -0.25 and -2 * (e - (x + 0.5)) or 1 + 2 * (x - e) end
	if k <= -2 or k > 56 then return from_bits(bits(1 - (e - x)) + (k << 52)) - 1 end
	local y
	if k < 20 then y = from_bits(0x3ff0000000000000 - (0x20000000000000 >> k)) - (e - x)
	else y = x - (e + from_bits(0x3ff - k << 52)) + 1 end
	return from_bits(bits(y) + (k << 52))
end

---------------------------------------------------------------------------------- circular

-- A large angle is left to the C library, which like Go's Payne and Hanek reduction errs by less
-- than one digit; the three-part constant below is good for less.
local LARGE <const> = 0x1p29

-- The octant of an angle, made even, and the rest.
local function octant(x)
	local j = x * 1.27323954473516268615107010698140931 // 1 | 0
	j = j + (j & 1)
	return j, ((x - j * 7.85398125648498535156e-1) - j * 3.77489470793079817668e-8) - j * 2.69515142907905952645e-15
end

local function sin_series(z, zz)
	return z + z * zz * ((((((1.58962301576546568060e-10 * zz) + -2.50507477628578072866e-8) * zz
		+ 2.75573136213857245213e-6) * zz + -1.98412698295895385996e-4) * zz + 8.33333333332211858878e-3) * zz
		+ -1.66666666666666307295e-1)
end

local function cos_series(zz)
	return 1.0 - 0.5 * zz + zz * zz * ((((((-1.13585365213876817300e-11 * zz) + 2.08757008419747316778e-9) * zz
		+ -2.75573141792967388112e-7) * zz + 2.48015872888517045348e-5) * zz + -1.38888888888730564116e-3) * zz
		+ 4.16666666666665929218e-2)
end

local function cos(x)
	x = abs(x)
	if not (x < LARGE) then return x == INF and NAN or math.cos(x) end
	local j, z = octant(x)
	j = j & 7
	local y = (j == 2 or j == 6) and sin_series(z, z * z) or cos_series(z * z)
	if j == 2 or j == 4 then return -y end
	return y
end

local function sin(x)
	if x == 0 or x ~= x then return x end
	local size = abs(x)
	if size >= LARGE then return size == INF and NAN or math.sin(x) end
	local j, z = octant(size)
	j = j & 7
	local y = (j == 2 or j == 6) and cos_series(z * z) or sin_series(z, z * z)
	if (j > 3) ~= (x < 0) then return -y end
	return y
end

local function tan(x)
	if x == 0 or x ~= x then return x end
	local size = abs(x)
	if size >= LARGE then return size == INF and NAN or math.tan(x) end
	local j, z = octant(size)
	local zz, y = z * z, z
	if zz > 1e-14 then
		y = z + z * (zz * (((-1.30936939181383777646e4 * zz) + 1.15351664838587416140e6) * zz
			+ -1.79565251976484877988e7) / ((((zz + 1.36812963470692954678e4) * zz + -1.32089234440210967447e6) * zz
			+ 2.50083801823357915839e7) * zz + -5.38695755929454629881e7))
	end
	if j & 2 == 2 then y = -1 / y end
	return x < 0 and -y or y
end

local function small_atan(x)
	local z = x * x
	z = z * ((((-8.750608600031904122785e-01 * z + -1.615753718733365076637e+01) * z + -7.500855792314704667340e+01) * z
		+ -1.228866684490136173410e+02) * z + -6.485021904942025371773e+01) / (((((z + 2.485846490142306297962e+01) * z
		+ 1.650270098316988542046e+02) * z + 4.328810604912902668951e+02) * z + 4.853903996359136964868e+02) * z
		+ 1.945506571482613964425e+02)
	return x * z + x
end

-- What pi/2 is more than its float.
local PI_2_MORE <const> = 6.123233995736765886130e-17

local function positive_atan(x)
	if x <= 0.66 then return small_atan(x) end
	if x > 2.41421356237309504880 then return PI / 2 - small_atan(1 / x) + PI_2_MORE end
	return PI / 4 + small_atan((x - 1) / (x + 1)) + 0.5 * PI_2_MORE
end

local function atan(x)
	if x == 0 or x ~= x then return x end
	return x > 0 and positive_atan(x) or -positive_atan(-x)
end

local function asin(x)
	if x == 0 or x ~= x then return x end
	local size = abs(x)
	if size > 1 then return NAN end
	local y = sqrt(1 - size * size)
	y = size > 0.7 and PI / 2 - positive_atan(y / size) or positive_atan(size / y)
	return x < 0 and -y or y
end

local function atan2(y, x)
	if x ~= x or y ~= y then return NAN end
	if y == 0 then return copysign(signbit(x) and PI or 0.0, y) end
	if x == 0 then return copysign(PI / 2, y) end
	if abs(x) == INF then
		if abs(y) == INF then return copysign(x > 0 and PI / 4 or 3 * PI / 4, y) end
		return copysign(x > 0 and 0.0 or PI, y)
	end
	if abs(y) == INF then return copysign(PI / 2, y) end
	local q = atan(y / x)
	if x > 0 then return q end
	return q <= 0 and q + PI or q - PI
end

T.elementary = {
	bits = bits, from_bits = from_bits, signbit = signbit, copysign = copysign, frexp = frexp, ldexp = ldexp,
	trunc = trunc, log = log, log2 = log2, log1p = log1p, exp = exp, exp2 = exp2, expm1 = expm1, LN2 = LN2,
	sin = sin, cos = cos, tan = tan, atan = atan, asin = asin, atan2 = atan2, NAN = NAN,
}
