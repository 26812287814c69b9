-- Go's strconv for floats, and its quoting of single characters.

local T = ...

local tonumber = tonumber
local tointeger = math.tointeger
local sub, rep, find, gsub = string.sub, string.rep, string.find, string.gsub
local format, upper, lower, match = string.format, string.upper, string.lower, string.match
local pack, unpack, utf8len = string.pack, string.unpack, utf8.len

---------------------------------------------------------------------------------- floats

-- A float rounded to the nearest of 32 bits.
local function single(x)
	if x ~= x or x == 1 / 0 or x == -1 / 0 then return x end
	-- Halfway between the largest and what would be the next; converting such is undefined in C.
	if x >= 0x1.ffffffp127 or x <= -0x1.ffffffp127 then return x > 0 and 1 / 0 or -1 / 0 end
	return (unpack("<f", pack("<f", x)))
end
T.single = single

-- As T.shortest_digits, for digits that need to read back as the same float of 32 bits only.
local function shortest_single(x)
	local precision, text = 0, nil
	repeat
		text = format("%." .. precision .. "e", x)
		precision = precision + 1
	until precision > 8 or single(tonumber(text)) == x
	local digits, exponent = match((gsub(text, "%.", "")), "^(%d+)e(.*)$")
	return (gsub(digits, "0+$", "")), tointeger(tonumber(exponent)) + 1
end

local function with_exponent(letter, exponent)
	return format("%s%s%02d", letter, exponent < 0 and "-" or "+", exponent < 0 and -exponent or exponent)
end

-- `x` >= 0 with the fewest digits that read back; the verb is e, f or g.
local function shortest(x, verb, bits)
	local digits, point = "0", 1
	if x > 0 then
		if bits == 32 then digits, point = shortest_single(x) else digits, point = T.shortest_digits(x) end
	end
	if verb == "e" or verb == "g" and (point < -3 or point > 6) then
		local rest = sub(digits, 2)
		return sub(digits, 1, 1) .. (rest ~= "" and "." .. rest or "") .. with_exponent("e", point - 1)
	end
	if point <= 0 then return "0." .. rep("0", -point) .. digits end
	if point >= #digits then return digits .. rep("0", point - #digits) end
	return sub(digits, 1, point) .. "." .. sub(digits, point + 1)
end

-- The bits of a float >= 0: its mantissa, and the exponent of the mantissa's last bit.
local function parts(x, bits)
	if bits == 32 then
		local raw = unpack("<I4", pack("<f", x))
		local exponent, mantissa = raw >> 23, raw & 0x7fffff
		if exponent == 0 then return mantissa, -149 end
		return mantissa | 0x800000, exponent - 150
	end
	local raw = unpack("<i8", pack("<d", x))
	local exponent, mantissa = raw >> 52, raw & 0xfffffffffffff
	if exponent == 0 then return mantissa, -1074 end
	return mantissa | 0x10000000000000, exponent - 1075
end

-- Go's %x of a float >= 0: always normalized, at least two digits of exponent.
local function hexadecimal(x, precision)
	local mantissa, exponent = parts(x)
	if mantissa == 0 then exponent = 0
	else
		exponent = exponent + 52
		while mantissa & 0x10000000000000 == 0 do mantissa = mantissa << 1; exponent = exponent - 1 end
	end
	if precision >= 0 and precision < 13 then
		local dropped = (13 - precision) * 4
		local extra, half = mantissa & (1 << dropped) - 1, 1 << dropped - 1
		mantissa = mantissa >> dropped
		if extra > half or extra == half and mantissa & 1 == 1 then mantissa = mantissa + 1 end
		mantissa = mantissa << dropped
		if mantissa & 0x20000000000000 ~= 0 then mantissa = mantissa >> 1; exponent = exponent + 1 end
	end
	local digits = format("%013x", mantissa & 0xfffffffffffff)
	if precision < 0 then digits = gsub(digits, "0+$", "")
	elseif precision <= 13 then digits = sub(digits, 1, precision)
	else digits = digits .. rep("0", precision - 13) end
	return format("0x%d", mantissa >> 52) .. (digits ~= "" and "." .. digits or "") .. with_exponent("p", exponent)
end

-- Go's strconv.FormatFloat; a negative precision asks for the shortest text that reads back.
function T.format_float(x, verb, precision, bits)
	if bits == 32 then x = single(x) end
	if x ~= x then return "NaN" end
	if x == 1 / 0 then return "+Inf" end
	if x == -1 / 0 then return "-Inf" end
	local sign = ""
	if x < 0 or x == 0 and 1 / x < 0 then sign, x = "-", -x end
	local kind, text = lower(verb), nil
	if kind == "x" then text = hexadecimal(x, precision)
	elseif verb == "b" then
		local mantissa, exponent = parts(x, bits)
		text = format("%dp%+d", mantissa, exponent)
	elseif verb ~= "f" and kind ~= "e" and kind ~= "g" then return "%" .. verb
	elseif precision < 0 then text = shortest(x, kind, bits)
	else
		if kind == "g" and precision == 0 then precision = 1 end
		if precision <= 99 then text = format("%." .. precision .. kind, x)
		else text = T.service("format_float", x, kind, precision) end
	end
	return sign .. (verb ~= kind and upper(text) or text)
end

---------------------------------------------------------------------------------- quoting

local RUNE_ESCAPES <const> = {
	[7] = "\\a", [8] = "\\b", [9] = "\\t", [10] = "\\n", [11] = "\\v", [12] = "\\f", [13] = "\\r",
	[39] = "\\'", [92] = "\\\\",
}

local function escaped_rune(code)
	return format(code < 0x80 and "\\x%02x" or code < 0x10000 and "\\u%04x" or "\\U%08x", code)
end

-- Go's strconv.QuoteRune, or QuoteRuneToASCII.
function T.quote_rune(code, ascii)
	if code < 0 or code > 0x10ffff or code >= 0xd800 and code <= 0xdfff then code = 0xfffd end
	local text = RUNE_ESCAPES[code]
	if not text then
		if T.is_printable(code) and not (ascii and code >= 0x80) then text = T.rune_text(code)
		else text = escaped_rune(code) end
	end
	return "'" .. text .. "'"
end

-- Go's strconv.QuoteToASCII.
function T.quote_ascii(s)
	return (gsub(T.quote(s), "[\xc2-\xf4][\x80-\xbf]+", function(rune) return escaped_rune((T.rune_at(rune, 1))) end))
end

-- Whether Go would write it between backquotes.
function T.can_backquote(s)
	return not find(s, "[%z\1-\8\10-\31\127`]") and not find(s, "\xef\xbb\xbf", 1, true) and utf8len(s) ~= nil
end
