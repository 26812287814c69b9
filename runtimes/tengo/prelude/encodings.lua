-- Base64 and hexadecimal, as Go's encoding/base64 and encoding/hex have them.

local T = ...

local byte, sub, find, gsub = string.byte, string.sub, string.find, string.gsub
local char, format, concat = string.char, string.format, table.concat
local tonumber = tonumber

local LETTERS <const> = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

-- An alphabet: what two characters twelve bits are, made when it is first used, and what each
-- character stands for.
local function alphabet(last)
	local characters, values, pairs_of = LETTERS .. last, {}, nil
	for i = 1, 64 do values[byte(characters, i)] = i - 1 end
	local function pairs_made()
		if not pairs_of then
			pairs_of = {}
			for i = 0, 4095 do
				local high, low = (i >> 6) + 1, (i & 63) + 1
				pairs_of[i] = sub(characters, high, high) .. sub(characters, low, low)
			end
		end
		return pairs_of
	end
	return { pairs = pairs_made, values = values }
end

local STANDARD <const>, URL <const> = alphabet("+/"), alphabet("-_")

---------------------------------------------------------------------------------- base64

local function base64_encode(s, letters, padded)
	local twelve, out, n = letters.pairs(), {}, 0
	local whole = #s - #s % 3
	for i = 1, whole, 3 do
		local a, b, c = byte(s, i, i + 2)
		n = n + 1
		out[n] = twelve[a << 4 | b >> 4] .. twelve[(b & 15) << 8 | c]
	end
	local a, b = byte(s, whole + 1, whole + 2)
	if a then
		local text = twelve[a << 4 | (b or 0) >> 4]
		if b then text = text .. sub(twelve[(b & 15) << 8], 1, 1) end
		out[n + 1] = text .. (padded and (b and "=" or "==") or "")
	end
	return concat(out)
end

-- The character by character way, for what has line ends or is broken; nil and the offset of the
-- byte that is wrong.
local function decode_slowly(s, values, padded)
	local out, length, i = {}, #s, 1
	local function past_line_ends()
		while byte(s, i) == 10 or byte(s, i) == 13 do i = i + 1 end
	end
	while true do
		local bits, count, ended = 0, 0, false
		while count < 4 and not ended do
			past_line_ends()
			local b = byte(s, i)
			i = i + 1
			if not b then
				if count == 0 then return concat(out) end
				if count == 1 or padded then return nil, length - count end
				ended = true
			elseif values[b] then
				bits = bits << 6 | values[b]
				count = count + 1
			else
				if b ~= 61 or not padded or count < 2 then return nil, i - 2 end
				if count == 2 then
					past_line_ends()
					if i > length then return nil, length end
					if byte(s, i) ~= 61 then return nil, i - 2 end
					i = i + 1
				end
				past_line_ends()
				if i <= length then return nil, i - 1 end
				ended = true
			end
		end
		if count == 4 then out[#out + 1] = char(bits >> 16, bits >> 8 & 255, bits & 255)
		elseif count == 3 then out[#out + 1] = char(bits >> 10, bits >> 2 & 255)
		else out[#out + 1] = char(bits >> 4) end
		if ended then return concat(out) end
	end
end

local function base64_decode(s, letters, padded)
	local values, out, n = letters.values, {}, 0
	local last = #s - #s % 4
	if padded and byte(s, last) == 61 then last = last - 4 end
	for i = 1, last, 4 do
		local a, b, c, d = byte(s, i, i + 3)
		a, b, c, d = values[a], values[b], values[c], values[d]
		if not (a and b and c and d) then return decode_slowly(s, values, padded) end
		local bits = a << 18 | b << 12 | c << 6 | d
		n = n + 1
		out[n] = char(bits >> 16, bits >> 8 & 255, bits & 255)
	end
	if last == #s then return concat(out) end
	local rest, wrong = decode_slowly(sub(s, last + 1), values, padded)
	if not rest then return nil, last + wrong end
	return concat(out) .. rest
end

-- The two functions of a kind of base64: from bytes to text, and back; what cannot be read back
-- is an error value.
function T.base64(url, padded)
	local letters = url and URL or STANDARD
	local function encode(s) return base64_encode(s, letters, padded) end
	local function decode(s)
		local bytes, wrong = base64_decode(s, letters, padded)
		return bytes and T.bytes(bytes) or T.error("illegal base64 data at input byte " .. format("%d", wrong))
	end
	return encode, decode
end
T.base64_encode = T.base64(false, true)

---------------------------------------------------------------------------------- hexadecimal

local HEX <const>, PAIRS <const> = {}, {}
for i = 0, 255 do HEX[char(i)] = format("%02x", i) end

function T.hex_encode(s) return (gsub(s, ".", HEX)) end

local function pair(digits)
	local c = PAIRS[digits]
	if not c then
		c = char(tonumber(digits, 16))
		PAIRS[digits] = c
	end
	return c
end

function T.hex_decode(s)
	local wrong = find(s, "%X")
	if wrong then return T.error("encoding/hex: invalid byte: " .. T.format("%#U", 1, byte(s, wrong))) end
	if #s % 2 == 1 then return T.error("encoding/hex: odd length hex string") end
	return T.bytes((gsub(s, "..", pair)))
end

---------------------------------------------------------------------------------- modules

-- A module's function from bytes to text, and from text to bytes.
function T.byte_function(f)
	return T.user_function(function(n, v)
		if n ~= 1 then return T.wrong_arguments() end
		local s = T.to_bytes(v)
		if not s then return T.bad_argument(nil, "first", "bytes(compatible)", v) end
		return f(s)
	end)
end

function T.text_function(f)
	return T.user_function(function(n, v)
		if n ~= 1 then return T.wrong_arguments() end
		local s = T.to_string(v)
		if not s then return T.bad_argument(nil, "first", "string(compatible)", v) end
		return f(s)
	end)
end
