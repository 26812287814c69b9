-- Go's formatting verbs, for the builtin `format` and for the module fmt.
--
-- `T.format(format_string, n, ...)` follows Tengo's own formatter, which is Go's fmt with these
-- differences: %v and %T go by the value's text (so strings are quoted and floats never have an
-- exponent), faults name values by their text, not by their type, and `%.` at the end of a format
-- has the point as its verb.

local T = ...

local type, mathtype = type, math.type
local byte, sub, rep, find, gsub = string.byte, string.sub, string.rep, string.find, string.gsub
local format, upper, match = string.format, string.upper, string.match
local concat, utf8len = table.concat, utf8.len
local show, type_name, rune_at, rune_text = T.show, T.type_name, T.rune_at, T.rune_text
local format_float, quote_rune, quote_ascii = T.format_float, T.quote_rune, T.quote_ascii

local BYTES <const> = 6
-- Widths and precisions above this are refused.
local LARGEST <const> = 1000000

---------------------------------------------------------------------------------- one value

-- The flags of one verb are in a table `f`: plus, minus, sharp, space, zero, and the numbers
-- width and precision where given.

local function rune_count(s)
	local count = utf8len(s)
	if not count then _, count = T.runes(s) end
	return count
end

local function padding(f, n) return rep(f.zero and "0" or " ", n) end

-- `s` filled up to the width; `spaces` where zeros have been dealt with before.
local function padded(f, s, spaces)
	local width = f.width
	if not width or width == 0 then return s end
	local missing = width - rune_count(s)
	if missing <= 0 then return s end
	local fill = spaces and rep(" ", missing) or padding(f, missing)
	return f.minus and s .. fill or fill .. s
end

-- `s` cut to as many runes as the precision says.
local function truncated(f, s)
	local left = f.precision
	if not left or #s <= left then return s end
	local i, length = 1, #s
	while left > 0 and i <= length do
		local _, size = rune_at(s, i)
		i, left = i + size, left - 1
	end
	return sub(s, 1, i - 1)
end

local function binary(u)
	local digits, n = {}, 65
	repeat
		n = n - 1
		digits[n] = u & 1
		u = u >> 1
	until u == 0
	return concat(digits, "", n, 64)
end

local BASES <const> = { d = 10, v = 10, b = 2, o = 8, O = 8, x = 16, X = 16 }

local function integer_text(f, v, verb)
	local base, negative = BASES[verb], v < 0
	-- As an unsigned number from here on, which is why min stays what it is.
	local u, wanted = negative and -v or v, 0
	if f.precision then
		wanted = f.precision
		if wanted == 0 and u == 0 then return rep(" ", f.width or 0) end
	elseif f.zero and f.width then
		wanted = f.width
		if negative or f.plus or f.space then wanted = wanted - 1 end
	end
	local digits
	if base == 10 then digits = gsub(format("%d", u), "^-", "")
	elseif base == 2 then digits = binary(u)
	else digits = format(base == 8 and "%o" or verb == "X" and "%X" or "%x", u) end
	if #digits < wanted then digits = rep("0", wanted - #digits) .. digits end
	if f.sharp then
		if base == 2 then digits = "0b" .. digits
		elseif base == 16 then digits = "0" .. verb .. digits
		elseif base == 8 and byte(digits) ~= 48 then digits = "0" .. digits end
	end
	if verb == "O" then digits = "0o" .. digits end
	local sign = negative and "-" or f.plus and "+" or f.space and " " or ""
	return padded(f, sign .. digits, true)
end

local function unicode_text(f, v)
	local digits = format("%04X", v)
	if f.precision and f.precision > #digits then digits = rep("0", f.precision - #digits) .. digits end
	local text = "U+" .. digits
	if f.sharp and v >= 0 and v <= 0x10ffff and T.is_printable(v) and not (v >= 0xd800 and v <= 0xdfff) then
		text = text .. " '" .. rune_text(v) .. "'"
	end
	return padded(f, text, true)
end

local bad_verb

local function print_integer(f, v, verb)
	if BASES[verb] then return integer_text(f, v, verb) end
	if verb == "c" then return padded(f, rune_text(v)) end
	if verb == "q" then
		if v >= 0 and v <= 0x10ffff then return padded(f, quote_rune(v, f.plus)) end
	elseif verb == "U" then return unicode_text(f, v) end
	return bad_verb(f, v, verb)
end

-- What the flag # adds to a float's text, which has a sign in front.
local function sharpened(text, verb, precision)
	local wanted = 0
	if verb == "g" or verb == "G" or verb == "x" then wanted = precision == -1 and 6 or precision end
	local number, tail = match(text, verb == "x" and "^([^p]*)(.*)$" or verb == "X" and "^([^P]*)(.*)$"
		or "^([^eE]*)(.*)$")
	local _, digits = gsub(sub(number, 2), "[^.]", "")
	if not find(number, ".", 1, true) then number = number .. "." end
	return number .. rep("0", wanted - digits) .. tail
end

local FLOAT_DEFAULTS <const> = { v = -1, b = -1, g = -1, G = -1, x = -1, X = -1, f = 6, F = 6, e = 6, E = 6 }

local function print_float(f, v, verb)
	local precision = FLOAT_DEFAULTS[verb]
	if not precision then return bad_verb(f, v, verb) end
	if verb == "F" then verb = "f" elseif verb == "v" then verb = "g" end
	precision = f.precision or precision
	local text = format_float(v, verb, precision, 64)
	local first = byte(text)
	if first ~= 45 and first ~= 43 then text = "+" .. text end
	if f.space and not f.plus and byte(text) == 43 then text = " " .. sub(text, 2) end
	local kind = byte(text, 2)
	if kind == 73 or kind == 78 then -- Inf and NaN are never filled up with zeros
		if kind == 78 and not f.space and not f.plus then text = sub(text, 2) end
		return padded(f, text, true)
	end
	if f.sharp and verb ~= "b" then text = sharpened(text, verb, precision) end
	if not f.plus and byte(text) == 43 then return padded(f, sub(text, 2)) end
	if f.zero and f.width and f.width > #text then
		return sub(text, 1, 1) .. rep("0", f.width - #text) .. sub(text, 2)
	end
	return padded(f, text)
end

-- The bytes of a string in hexadecimal.
local function hex_text(f, s, verb)
	if f.precision and f.precision < #s then s = sub(s, 1, f.precision) end
	if s == "" then return padding(f, f.width or 0) end
	local text = gsub(s, ".", function(c) return format("%02x", byte(c)) end)
	if f.space then text = sub(gsub(text, "..", f.sharp and " 0x%0" or " %0"), 2)
	elseif f.sharp then text = "0x" .. text end
	return padded(f, verb == "X" and upper(text) or text)
end

local function quoted(f, s)
	s = truncated(f, s)
	if f.sharp and T.can_backquote(s) then return padded(f, "`" .. s .. "`") end
	return padded(f, f.plus and quote_ascii(s) or T.quote(s))
end

local function print_string(f, v, s, verb)
	if verb == "s" then return padded(f, truncated(f, s)) end
	if verb == "q" then return quoted(f, s) end
	if verb == "x" or verb == "X" then return hex_text(f, s, verb) end
	return bad_verb(f, v, verb)
end

local function print_bytes(f, s, verb)
	if verb == "d" then
		local out = { byte(s, 1, 200) }
		for i = 201, #s do out[i] = byte(s, i) end
		for i = 1, #out do out[i] = integer_text(f, out[i], "d") end
		return "[" .. concat(out, " ") .. "]"
	end
	if verb == "s" or verb == "q" or verb == "x" or verb == "X" then return print_string(f, nil, s, verb) end
	return ""
end

local function print_value(f, v, verb)
	if verb == "v" then return padded(f, truncated(f, show(v))) end
	if verb == "T" then return padded(f, truncated(f, type_name(v))) end
	local kind = type(v)
	if kind == "number" then
		if mathtype(v) == "integer" then return print_integer(f, v, verb) end
		return print_float(f, v, verb)
	end
	if kind == "string" then return print_string(f, v, v, verb) end
	if kind == "boolean" then
		if verb == "t" then return padded(f, v and "true" or "false") end
		return bad_verb(f, v, verb)
	end
	if kind == "table" and v[1] == BYTES then return print_bytes(f, v[2], verb) end
	return print_string(f, v, show(v), verb)
end

function bad_verb(f, v, verb)
	return "%!" .. verb .. "(" .. show(v) .. "=" .. print_value(f, v, "v") .. ")"
end

---------------------------------------------------------------------------------- directives

-- A decimal number at byte `i`: its value or nil, and the byte after it.  One that is too large
-- takes the whole rest of the string with it, as Go's parser has it.
local function number_at(s, i, last)
	local digits = match(s, "^%d*", i)
	if digits == "" then return nil, i > last and last + 1 or i end
	local value = 0
	for k = 1, #digits do
		if value > LARGEST then return nil, last + 1 end
		value = value * 10 + byte(digits, k) - 48
	end
	return value, i + #digits
end

-- An argument index such as [3] at byte `i`: the argument's number, the byte after it, whether
-- there was one, and whether it was good.
local function index_at(s, i, current, count)
	if byte(s, i) ~= 91 then return current, i, false, true end
	local close = #s - i >= 2 and find(s, "]", i + 1, true)
	if not close then return current, i + 1, false, false end
	local value, after = number_at(s, i + 1, close - 1)
	local ok = value ~= nil and after == close
	if ok and value >= 1 and value <= count then return value, close + 1, true, true end
	return current, close + 1, ok, false
end

-- The number for a `*`, or nil.
local function star(args, current, count)
	if current > count then return nil, current end
	local value = T.to_int(args[current])
	if value and (value > LARGEST or value < -LARGEST) then value = nil end
	return value, current + 1
end

local FLAGS <const> = { [35] = "sharp", [43] = "plus", [32] = "space" }
local NO_FLAGS <const> = {}

-- Everything but the plainest directive, from byte `i` after the `%`: appends to `out`; returns
-- the byte after the verb and the number of the next argument.
local function directive(s, i, args, current, count, out, n, state)
	local f, length = {}, #s
	while true do
		local b = byte(s, i)
		if b == 48 then f.zero = not f.minus
		elseif b == 45 then f.minus = true; f.zero = false
		elseif FLAGS[b] then f[FLAGS[b]] = true
		else break end
		i = i + 1
	end
	local good, after_index, fine = true, false, nil
	local function index()
		if byte(s, i) == 91 then state.reordered = true end
		current, i, after_index, fine = index_at(s, i, current, count)
		good = good and fine
	end
	index()
	if byte(s, i) == 42 then
		f.width, current = star(args, current, count)
		if not f.width then n = n + 1; out[n] = "%!(BADWIDTH)"
		elseif f.width < 0 then f.width, f.minus, f.zero = -f.width, true, false end
		i, after_index = i + 1, false
	else
		f.width, i = number_at(s, i, length)
		if after_index and f.width then good = false end
	end
	if i < length and byte(s, i) == 46 then
		i = i + 1
		if after_index then good = false end
		index()
		if byte(s, i) == 42 then
			f.precision, current = star(args, current, count)
			if f.precision and f.precision < 0 then f.precision = nil end
			if not f.precision then n = n + 1; out[n] = "%!(BADPREC)" end
			i, after_index = i + 1, false
		else
			f.precision, i = number_at(s, i, length)
			f.precision = f.precision or 0
		end
	end
	if not after_index then index() end
	n = n + 1
	if i > length then out[n] = "%!(NOVERB)"; return i, current, n end
	local code, size = rune_at(s, i)
	local verb = rune_text(code)
	i = i + size
	if verb == "%" then out[n] = "%"
	elseif not good then out[n] = "%!" .. verb .. "(BADINDEX)"
	elseif current > count then out[n] = "%!" .. verb .. "(MISSING)"
	else
		-- %+v and %#v are forms of their own, in which the flags mean nothing else.
		if verb == "v" then f.sharp, f.plus = nil, nil end
		out[n] = print_value(f, args[current], verb)
		current = current + 1
	end
	return i, current, n
end

-- Go's fmt.Sprintf for Tengo values: `count` arguments follow the format.
function T.format(s, count, ...)
	local args, out, n = { ... }, {}, 0
	local i, length, current, state = 1, #s, 1, { reordered = false }
	while i <= length do
		local percent = find(s, "%", i, true)
		if not percent then
			n = n + 1
			out[n] = i == 1 and s or sub(s, i)
			break
		end
		if percent > i then n = n + 1; out[n] = sub(s, i, percent - 1) end
		i = percent + 1
		local b = byte(s, i)
		if b and b >= 97 and b <= 122 and current <= count then
			local v = args[current]
			n = n + 1
			if b == 115 and type(v) == "string" then out[n] = v
			elseif b == 100 and mathtype(v) == "integer" then out[n] = format("%d", v)
			elseif b == 118 then out[n] = show(v)
			else out[n] = print_value(NO_FLAGS, v, sub(s, i, i)) end
			i, current = i + 1, current + 1
		else i, current, n = directive(s, i, args, current, count, out, n, state) end
	end
	if not state.reordered and current <= count then
		local extra = {}
		for k = current, count do extra[k - current + 1] = type_name(args[k]) .. "=" .. show(args[k]) end
		n = n + 1
		out[n] = "%!(EXTRA " .. concat(extra, ", ") .. ")"
	end
	return concat(out, "", 1, n)
end
