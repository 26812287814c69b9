-- Powers, hyperbolic functions, error function and gamma function as Go computes them.
--
-- Algorithms and coefficients: erf and the inverse hyperbolic functions from FreeBSD's msun, gamma
-- and tanh from Moshier's Cephes library, sinh after Hart & Cheney, the cube root after Meinardus
-- & Taylor; pow is Go's own.

local T = ...

local el = T.elementary
local abs, sqrt, exp = math.abs, math.sqrt, math.exp
local bits, from_bits, copysign, frexp, ldexp = el.bits, el.from_bits, el.copysign, el.frexp, el.ldexp
local log, log1p, LN2 <const> = el.log, el.log1p, el.LN2
local INF <const>, NAN <const>, PI <const> = math.huge, 0.0 / 0.0, math.pi

---------------------------------------------------------------------------------- powers

local function is_odd(y) return y % 2 == 1 end

-- x ^ y for x = 0 or an infinite argument; y is not 0 and nothing is NaN.
local function extreme_pow(x, y)
	if x == 0 then
		if y < 0 then return is_odd(y) and copysign(INF, x) or INF end
		return is_odd(y) and x or 0.0
	end
	if abs(y) == INF then
		if x == -1 then return 1.0 end
		return (abs(x) < 1) == (y > 0) and 0.0 or INF
	end
	if x < 0 then return extreme_pow(1 / x, -y) end
	return y < 0 and 0.0 or INF
end

local function pow(x, y)
	if y == 0 or x == 1 then return 1.0 end
	if y == 1 then return x end
	if x ~= x or y ~= y then return NAN end
	if x == 0 or abs(x) == INF or abs(y) == INF then return extreme_pow(x, y) end
	if y == 0.5 then return sqrt(x) end
	if y == -0.5 then return 1 / sqrt(x) end
	local size = abs(y)
	local whole = size // 1
	local part = size - whole
	if part ~= 0 and x < 0 then return NAN end
	if whole >= 0x1p63 then
		if x == -1 then return 1.0 end
		return (abs(x) < 1) == (y > 0) and 0.0 or INF
	end
	local result, exponent = 1.0, 0
	if part ~= 0 then
		if part > 0.5 then part, whole = part - 1, whole + 1 end
		result = exp(part * log(x))
	end
	-- The whole part by squaring; fraction and exponent apart, so that nothing overflows.
	local f, e = frexp(x)
	local i = whole | 0
	while i ~= 0 do
		if e < -4096 or e > 4096 then
			exponent = exponent + e
			break
		end
		if i & 1 == 1 then result, exponent = result * f, exponent + e end
		f, e = f * f, e << 1
		if f < 0.5 then f, e = f + f, e - 1 end
		i = i >> 1
	end
	if y < 0 then result, exponent = 1 / result, -exponent end
	return ldexp(result, exponent)
end

local function cbrt(x)
	if x == 0 or x ~= x or abs(x) == INF then return x end
	local size, t = abs(x), nil
	-- A third of the exponent gives 5 bits, the rational function 23, one step of Newton the rest.
	if size < 0x1p-1022 then t = from_bits(bits(0x1p54 * size) // 3 + (696219795 << 32))
	else t = from_bits(bits(size) // 3 + (715094163 << 32)) end
	local r = t * t / size
	local s = 5.42857142857142815906e-01 + r * t
	t = t * (3.57142857142857150787e-01 + 1.60714285714285720630e+00 / (s + 1.41428571428571436819e+00
		+ -7.05306122448979611050e-01 / s))
	-- With 22 bits its square is exact.
	t = from_bits((bits(t) & 0xffffffffc << 28) + (1 << 30))
	r = size / (t * t)
	r = (r - t) / (t + t + r)
	t = t + t * r
	return x < 0 and -t or t
end

---------------------------------------------------------------------------------- hyperbolic

local function sinh(x)
	local size, y = abs(x), nil
	if size > 21 then y = exp(size) / 2
	elseif size > 0.5 then y = (exp(size) - exp(-size)) / 2
	else
		local z = size * size
		y = (((-0.2630563213397497062819489e+2 * z + -0.2894211355989563807284660366e+4) * z
			+ -0.8991272022039509355398013511e+5) * z + -0.6307673640497716991184787251e+6) * size
		y = y / (((z + -0.173678953558233699533450911e+3) * z + 0.1521517378790019070696485176e+5) * z
			+ -0.6307673640497716991212077277e+6)
	end
	return el.signbit(x) and -y or y
end

local function cosh(x)
	x = abs(x)
	if x > 21 then return exp(x) / 2 end
	return (exp(x) + exp(-x)) / 2
end

local function tanh(x)
	local size = abs(x)
	if size > 0.5 * 8.8029691931113054295988e+01 then return x < 0 and -1.0 or 1.0 end
	if size >= 0.625 then
		local y = 1 - 2 / (exp(2 * size) + 1)
		return x < 0 and -y or y
	end
	if x == 0 then return x end
	local s = x * x
	return x + x * s * ((-9.64399179425052238628E-1 * s + -9.92877231001918586564E1) * s + -1.61468768441708447952E3)
		/ (((s + 1.12811678491632931402E2) * s + 2.23548839060100448583E3) * s + 4.84406305325125486048E3)
end

local function asinh(x)
	local size, y = abs(x), nil
	if x ~= x or size == INF or size < 0x1p-28 then return x end
	if size > 0x1p28 then y = log(size) + LN2
	elseif size > 2 then y = log(2 * size + 1 / (sqrt(size * size + 1) + size))
	else y = log1p(size + size * size / (1 + sqrt(1 + size * size))) end
	return x < 0 and -y or y
end

local function acosh(x)
	if x < 1 or x ~= x then return NAN end
	if x == 1 then return 0.0 end
	if x >= 0x1p28 then return log(x) + LN2 end
	if x > 2 then return log(2 * x - 1 / (x + sqrt(x * x - 1))) end
	local t = x - 1
	return log1p(t + sqrt(2 * t + t * t))
end

local function atanh(x)
	if x < -1 or x > 1 or x ~= x then return NAN end
	if abs(x) == 1 then return x * INF end
	local size, y = abs(x), nil
	if size < 0x1p-28 then return x end
	if size < 0.5 then
		y = size + size
		y = 0.5 * log1p(y + y * size / (1 - size))
	else y = 0.5 * log1p((size + size) / (1 - size)) end
	return x < 0 and -y or y
end

---------------------------------------------------------------------------------- error function

-- A polynomial of the coefficients, the constant first.
local function poly(c, x)
	local y = c[#c]
	for i = #c - 1, 1, -1 do y = c[i] + x * y end
	return y
end

local PP <const> = {
	1.28379167095512558561e-01, -3.25042107247001499370e-01, -2.84817495755985104766e-02,
	-5.77027029648944159157e-03, -2.37630166566501626084e-05,
}
local QQ <const> = {
	1, 3.97917223959155352819e-01, 6.50222499887672944485e-02, 5.08130628187576562776e-03,
	1.32494738004321644526e-04, -3.96022827877536812320e-06,
}
local PA <const> = {
	-2.36211856075265944077e-03, 4.14856118683748331666e-01, -3.72207876035701323847e-01,
	3.18346619901161753674e-01, -1.10894694282396677476e-01, 3.54783043256182359371e-02, -2.16637559486879084300e-03,
}
local QA <const> = {
	1, 1.06420880400844228286e-01, 5.40397917702171048937e-01, 7.18286544141962662868e-02,
	1.26171219808761642112e-01, 1.36370839120290507362e-02, 1.19844998467991074170e-02,
}
local RA <const> = {
	-9.86494403484714822705e-03, -6.93858572707181764372e-01, -1.05586262253232909814e+01, -6.23753324503260060396e+01,
	-1.62396669462573470355e+02, -1.84605092906711035994e+02, -8.12874355063065934246e+01, -9.81432934416914548592e+00,
}
local SA <const> = {
	1, 1.96512716674392571292e+01, 1.37657754143519042600e+02, 4.34565877475229228821e+02, 6.45387271733267880336e+02,
	4.29008140027567833386e+02, 1.08635005541779435134e+02, 6.57024977031928170135e+00, -6.04244152148580987438e-02,
}
local RB <const> = {
	-9.86494292470009928597e-03, -7.99283237680523006574e-01, -1.77579549177547519889e+01, -1.60636384855821916062e+02,
	-6.37566443368389627722e+02, -1.02509513161107724954e+03, -4.83519191608651397019e+02,
}
local SB <const> = {
	1, 3.03380607434824582924e+01, 3.25792512996573918826e+02, 1.53672958608443695994e+03, 3.19985821950859553908e+03,
	2.55305040643316442583e+03, 4.74528541206955367215e+02, -2.24409524465858183362e+01,
}
local ERX <const> = 8.45062911510467529297e-01

-- 1 - erf(x) for x from 1.25 on.
local function far(x)
	local s, r = 1 / (x * x), nil
	if x < 1 / 0.35 then r = poly(RA, s) / poly(SA, s) else r = poly(RB, s) / poly(SB, s) end
	-- The upper half of x squares exactly.
	local z = from_bits(bits(x) & ~0xffffffff)
	return exp(-z * z - 0.5625) * exp((z - x) * (z + x) + r) / x
end

local function erf(x)
	if x ~= x then return NAN end
	local size, y = abs(x), nil
	if size < 0.84375 then
		if size < 0x1p-28 then
			if size < 2.848094538889218e-306 then y = 0.125 * (8.0 * size + 1.02703333676410069053e+00 * size)
			else y = size + 1.28379167095512586316e-01 * size end
		else
			local z = size * size
			y = size + size * (poly(PP, z) / poly(QQ, z))
		end
	elseif size < 1.25 then y = ERX + poly(PA, size - 1) / poly(QA, size - 1)
	elseif size >= 6 then y = 1.0
	else y = 1 - far(size) end
	return x < 0 and -y or y
end

local function erfc(x)
	if x ~= x then return NAN end
	local size = abs(x)
	if size < 0.84375 then
		local y = size
		if size >= 0x1p-56 then
			local z = size * size
			local r = poly(PP, z) / poly(QQ, z)
			y = size < 0.25 and size + size * r or 0.5 + (size * r + (size - 0.5))
		end
		return x < 0 and 1 + y or 1 - y
	end
	if size < 1.25 then
		local y = poly(PA, size - 1) / poly(QA, size - 1)
		return x < 0 and 1 + ERX + y or 1 - ERX - y
	end
	if x < -6 then return 2.0 end
	if size >= 28 then return 0.0 end
	return x < 0 and 2 - far(size) or far(size)
end

---------------------------------------------------------------------------------- gamma

local GAMMA_P <const> = {
	9.99999999999999996796e-01, 4.94214826801497100753e-01, 2.07448227648435975150e-01, 4.76367800457137231464e-02,
	1.04213797561761569935e-02, 1.19135147006586384913e-03, 1.60119522476751861407e-04,
}
local GAMMA_Q <const> = {
	1.00000000000000000320e+00, 7.14304917030273074085e-02, -2.34591795718243348568e-01, 3.58236398605498653373e-02,
	1.18139785222060435552e-02, -4.45641913851797240494e-03, 5.39605580493303397842e-04, -2.31581873324120129819e-05,
}
local STIRLING <const> = {
	8.33333333333482257126e-02, 3.47222221605458667310e-03, -2.68132617805781232825e-03, -2.29549961613378126380e-04,
	7.87311395793093628397e-04,
}

-- Two factors of gamma(x) for x above 33; apart, because their product may overflow on the way.
local function stirling(x)
	if x > 200 then return INF, 1.0 end
	local w = 1 / x
	w = 1 + w * poly(STIRLING, w)
	local y1, y2 = exp(x), 1.0
	if x > 143.01608 then
		local v = pow(x, 0.5 * x - 0.25)
		y1, y2 = v, v / y1
	else y1 = pow(x, x - 0.5) / y1 end
	return y1, 2.506628274631000502417 * w * y2
end

local function small_gamma(x, z)
	if x == 0 then return INF end
	return z / ((1 + 0.57721566490153286060651209008240243104 * x) * x)
end

local function gamma(x)
	if x ~= x or x == -INF or x < 0 and x // 1 == x then return NAN end
	if x == INF then return x end
	if x == 0 then return copysign(INF, x) end
	local q = abs(x)
	if q > 33 then
		local y1, y2 = stirling(q)
		if x >= 0 then return y1 * y2 end
		local p = q // 1
		local sign = p % 2 == 0 and -1.0 or 1.0
		local z = q - p
		if z > 0.5 then z = q - (p + 1) end
		z = abs(q * el.sin(PI * z))
		if z == 0 then return sign * INF end
		local d = z * y1 * y2
		return sign * (d == INF and PI / z / y1 / y2 or PI / d)
	end
	local z = 1.0
	while x >= 3 do
		x = x - 1
		z = z * x
	end
	while x < 2 do
		if x < 0 and x > -1e-09 or x >= 0 and x < 1e-09 then return small_gamma(x, z) end
		z = z / x
		x = x + 1
	end
	if x == 2 then return z end
	return z * poly(GAMMA_P, x - 2) / poly(GAMMA_Q, x - 2)
end

T.special = {
	pow = pow, cbrt = cbrt, sinh = sinh, cosh = cosh, tanh = tanh, asinh = asinh, acosh = acosh, atanh = atanh,
	erf = erf, erfc = erfc, gamma = gamma, poly = poly,
}
