-- Go's strconv for ints of any base, floats with underscores, booleans and quoted text.

local T = ...

local tointeger, ult = math.tointeger, math.ult
local byte, sub, find, gsub, lower = string.byte, string.sub, string.find, string.gsub, string.lower
local char, format, match, concat = string.char, string.format, string.match, table.concat
local utf8len, rune_at, rune_text = utf8.len, T.rune_at, T.rune_text

local PREFIXES <const> = { b = 2, o = 8, x = 16 }
local DIGITS <const> = "0123456789abcdefghijklmnopqrstuvwxyz"

-- Underscores may only stand between digits, or between a base prefix and a digit.
local function underscores_fine(digits, prefixed)
	return not find(digits, "__", 1, true) and not find(digits, "_$") and (prefixed or not find(digits, "^_"))
end

-- The unsigned number that `digits` are in `base`, or nil and what is wrong, in Go's words.
local function unsigned(digits, base, bits)
	local prefixed, plain = false, digits
	if digits == "" then return nil, "invalid syntax" end
	if base == 0 then
		base = 10
		local letter = match(digits, "^0([bBoOxX]).")
		if letter then
			base, prefixed, plain = PREFIXES[lower(letter)], true, sub(digits, 3)
		elseif byte(digits) == 48 then base, prefixed, plain = 8, true, sub(digits, 2) end
		if not underscores_fine(plain, prefixed) then return nil, "invalid syntax" end
		plain = gsub(plain, "_", "")
	elseif base < 2 or base > 36 then return nil, "invalid base " .. base end
	if bits < 0 or bits > 64 then return nil, "invalid bit size " .. bits end
	-- In halves, since a product of two 64-bit numbers has no carry to look at.
	local value, limit = 0, bits == 64 and -1 or (1 << bits) - 1
	for i = 1, #plain do
		local b = byte(plain, i)
		local digit = b >= 48 and b <= 57 and b - 48 or b >= 97 and b <= 122 and b - 87
			or b >= 65 and b <= 90 and b - 55
		if not digit or digit >= base then return nil, "invalid syntax" end
		local high, low = (value >> 32) * base, (value & 0xffffffff) * base + digit
		high = high + (low >> 32)
		if high >> 32 ~= 0 then return nil, "value out of range" end
		value = high << 32 | low & 0xffffffff
		if ult(limit, value) then return nil, "value out of range" end
	end
	return value
end

-- Go's strconv.ParseInt: an int, or nil and what is wrong, in Go's words.
function T.parse_int_base(s, base, bits)
	if bits == 0 then bits = 64 end
	local sign, digits = match(s, "^([+-]?)(.*)$")
	local value, problem = unsigned(digits, base, bits)
	if not value then return nil, problem end
	local limit = 1 << (bits - 1)
	if sign == "-" then
		if ult(limit, value) then return nil, "value out of range" end
		return -value
	end
	if not ult(value, limit) then return nil, "value out of range" end
	return value
end

-- Go's strconv.FormatInt, for a base from 2 to 36.
function T.format_int(value, base)
	if base == 10 then return format("%d", value) end
	local negative, digits, n = value < 0, {}, 66
	if negative then value = -value end
	repeat
		-- An unsigned division: min is still negative here.
		local quotient
		if value >= 0 then quotient = value // base
		else
			quotient = (value >> 1) // base << 1
			if not ult(value - quotient * base, base) then quotient = quotient + 1 end
		end
		local digit = value - quotient * base + 1
		n = n - 1
		digits[n] = sub(DIGITS, digit, digit)
		value = quotient
	until value == 0
	return (negative and "-" or "") .. concat(digits, "", n, 65)
end

-- Go's strconv.ParseFloat takes underscores between digits; what it says of the rest is in text.lua.
local without_underscores = T.parse_float
function T.parse_float(s)
	if find(s, "_", 1, true) then
		local digits, body = "%d", gsub(s, "^[+-]", "")
		if find(body, "^0[xX]") then digits, body = "%x", "0" .. sub(body, 3) end
		if find("." .. body .. ".", "[^" .. digits .. "]_") or find(body .. ".", "_[^" .. digits .. "]") then
			return nil, "syntax"
		end
		s = gsub(s, "_", "")
	end
	return without_underscores(s)
end

local BOOLEANS <const> = {
	["1"] = true, t = true, T = true, ["true"] = true, TRUE = true, True = true,
	["0"] = false, f = false, F = false, ["false"] = false, FALSE = false, False = false,
}

-- Go's strconv.ParseBool; nil for what is none.
function T.parse_bool(s) return BOOLEANS[s] end

---------------------------------------------------------------------------------- unquoting

local PLAIN_ESCAPES <const> = {
	a = "\a", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", v = "\v", ["\\"] = "\\",
}
local HEX_LENGTHS <const> = { x = 2, u = 4, U = 8 }

-- The character that the escape at byte `i` (after the backslash) is, and the byte after it.
local function unescaped(s, i, quote)
	local c = sub(s, i, i)
	if PLAIN_ESCAPES[c] then return PLAIN_ESCAPES[c], i + 1 end
	if c == quote then return c, i + 1 end
	local length = HEX_LENGTHS[c]
	if length then
		local digits = match(s, "^%x+", i + 1)
		if not digits or #digits < length then return nil end
		local code = tointeger(tonumber(sub(digits, 1, length), 16))
		if c == "x" then return char(code), i + 3 end
		if code > 0x10ffff or code >= 0xd800 and code <= 0xdfff then return nil end
		return rune_text(code), i + 1 + length
	end
	local octal = match(s, "^[0-7][0-7][0-7]", i)
	local code = octal and tointeger(tonumber(octal, 8))
	if not code or code > 255 then return nil end
	return char(code), i + 3
end

-- Go's strconv.Unquote; nil for what is no quoted text.
function T.unquote(s)
	local quote, inner = sub(s, 1, 1), sub(s, 2, -2)
	if #s < 2 or sub(s, -1) ~= quote then return nil end
	if quote == "`" then
		if find(inner, "`", 1, true) then return nil end
		return (gsub(inner, "\r", ""))
	end
	if quote ~= '"' and quote ~= "'" or find(inner, "\n", 1, true) then return nil end
	local plain = not find(inner, "\\", 1, true) and not find(inner, quote, 1, true)
	if plain and quote == '"' and utf8len(inner) then return inner end
	local out, n, i, length = {}, 0, 1, #inner
	while i <= length do
		local b = byte(inner, i)
		n = n + 1
		if b == byte(quote) then return nil end
		if b == 92 then
			out[n], i = unescaped(inner, i + 1, quote)
			if not i then return nil end
		elseif b < 0x80 then out[n] = char(b); i = i + 1
		else
			local code, size = rune_at(inner, i)
			out[n] = rune_text(code)
			i = i + size
		end
	end
	if quote == "'" and n ~= 1 then return nil end
	return concat(out)
end
