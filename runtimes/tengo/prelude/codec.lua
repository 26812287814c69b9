-- Tengo values to msgpack and back, inside the Lua state.
--
-- The Lua half of sandbox/wire/codec.py for Tengo: the same extension types and caps.  A string
-- leaves as text when it is valid UTF-8, else as bytes; Tengo's bytes always as bytes.  The same
-- reader, over plain Lua tables, serves the frames themselves and the services of the Python side.

local T = ...

local byte, sub, pack, unpack, bytechar = string.byte, string.sub, string.pack, string.unpack, string.char
local concat, utf8len, mathtype = table.concat, utf8.len, math.type
local type, next, error, pcall, setmetatable = type, next, error, pcall, setmetatable

local ARRAY <const>, IMMUTABLE_ARRAY <const>, MAP <const>, IMMUTABLE_MAP <const> = 1, 2, 3, 4
local CHAR <const>, BYTES <const>, ERROR <const>, TIME <const> = 5, 6, 7, 8
local MAX_DEPTH <const> = 64
local EXT_TIME <const>, EXT_HOST <const>, EXT_GUEST <const> = 1, 2, 3
local EXT_CHAR <const>, EXT_ERROR <const>, EXT_STANZA <const> = 4, 5, 6

-- Host functions received as data: closure -> handle and handle -> closure.
local handle_of = setmetatable({}, { __mode = "k" })
local closure_of = setmetatable({}, { __mode = "v" })

local function host_closure(handle)
	local closure = closure_of[handle]
	if not closure then
		closure = T.user_function(function(n, ...) return T.call_handle(handle, n, ...) end, "host")
		closure_of[handle] = closure
		handle_of[closure] = handle
	end
	return closure
end

---------------------------------------------------------------------------------- decoding

-- A decoder: makes arrays, maps, byte strings and extensions with the functions of `make`.
local function decoder(make)
	local decode

	local function list(s, pos, n)
		local t = {}
		for i = 1, n do t[i], pos = decode(s, pos) end
		return make.array(t, n), pos
	end

	local function map(s, pos, n)
		local m = make.map()
		local put = make.put
		for _ = 1, n do
			local key, value
			key, pos = decode(s, pos)
			value, pos = decode(s, pos)
			put(m, key, value)
		end
		return m, pos
	end

	local function ext(s, pos, size)
		local code, first, following = byte(s, pos), pos + 1, pos + 1 + size
		if code == EXT_HOST then return host_closure((unpack(">I8", s, first))), following end
		if code == EXT_CHAR then return T.char((unpack(">i8", s, first))), following end
		if code == EXT_TIME then
			local micros, offset = unpack(">i8i4", s, first)
			return T.time(micros // 1000000, micros % 1000000 * 1000, offset, offset == 0 and "UTC" or ""), following
		end
		if code == EXT_ERROR then return T.error((decode(s, first))), following end
		if code == EXT_STANZA then return (decode(s, first)), following end
		error("unknown extension type " .. code, 0)
	end

	local function sized(format)
		return function(s, pos) return unpack(format, s, pos) end
	end
	local function bytes(format)
		return function(s, pos)
			local content, after = unpack(format, s, pos)
			return make.bytes(content), after
		end
	end
	local function sized_ext(format)
		return function(s, pos)
			local size, after = unpack(format, s, pos)
			return ext(s, after, size)
		end
	end
	local function fixed_ext(size)
		return function(s, pos) return ext(s, pos, size) end
	end
	local function counted(format, read)
		return function(s, pos)
			local n, after = unpack(format, s, pos)
			return read(s, after, n)
		end
	end

	local decoders = {
		[0xc0] = function(_, pos) return nil, pos end,
		[0xc2] = function(_, pos) return false, pos end,
		[0xc3] = function(_, pos) return true, pos end,
		[0xc4] = bytes ">s1", [0xc5] = bytes ">s2", [0xc6] = bytes ">s4",
		[0xc7] = sized_ext ">I1", [0xc8] = sized_ext ">I2", [0xc9] = sized_ext ">I4",
		[0xca] = sized ">f", [0xcb] = sized ">d",
		[0xcc] = sized ">I1", [0xcd] = sized ">I2", [0xce] = sized ">I4", [0xcf] = sized ">i8",
		[0xd0] = sized ">i1", [0xd1] = sized ">i2", [0xd2] = sized ">i4", [0xd3] = sized ">i8",
		[0xd4] = fixed_ext(1), [0xd5] = fixed_ext(2), [0xd6] = fixed_ext(4),
		[0xd7] = fixed_ext(8), [0xd8] = fixed_ext(16),
		[0xd9] = sized ">s1", [0xda] = sized ">s2", [0xdb] = sized ">s4",
		[0xdc] = counted(">I2", list), [0xdd] = counted(">I4", list),
		[0xde] = counted(">I2", map), [0xdf] = counted(">I4", map),
	}

	-- The value at `pos` of `s`, and the position after it.  What arrives here was encoded by the
	-- engine, so the caps were kept by the sender; a broken body raises a Lua error.
	function decode(s, pos)
		local b = byte(s, pos)
		if b < 0x80 then return b, pos + 1 end
		if b < 0x90 then return map(s, pos + 1, b - 0x80) end
		if b < 0xa0 then return list(s, pos + 1, b - 0x90) end
		if b < 0xc0 then
			local last = pos + b - 0xa0
			return sub(s, pos + 1, last), last + 1
		end
		if b >= 0xe0 then return b - 0x100, pos + 1 end
		return decoders[b](s, pos + 1)
	end
	return decode
end

T.decode = decoder { array = T.array, map = T.map, put = T.map_set, bytes = T.bytes }
T.decode_plain = decoder {
	array = function(t) return t end,
	map = function() return {} end,
	put = function(m, key, value) m[key] = value end,
	bytes = function(s) return s end,
}

---------------------------------------------------------------------------------- encoding

local function header(n, fix, wide16, wide32)
	if n < 16 then return bytechar(fix + n) end
	if n < 0x10000 then return pack(">BI2", wide16, n) end
	return pack(">BI4", wide32, n)
end

local function encode_bytes(v)
	if #v < 0x100 then return pack(">Bs1", 0xc4, v) end
	return pack(">Bs4", 0xc6, v)
end

local function encode_text(v)
	local n = #v
	if not utf8len(v) then return encode_bytes(v) end
	if n < 32 then return bytechar(0xa0 + n) .. v end
	if n < 0x100 then return pack(">Bs1", 0xd9, v) end
	return pack(">Bs4", 0xdb, v)
end

local function extension(code, data) return pack(">BI4B", 0xc9, #data, code) .. data end

local encode

local function encode_time(v)
	-- Microseconds since 1970 must fit; the years 1 to 9999 do.
	if v[2] < -62135596800 or v[2] > 253402300799 then error("a time outside the years 1 to 9999 cannot cross", 0) end
	return extension(EXT_TIME, pack(">i8i4", v[2] * 1000000 + v[3] // 1000, v[4]))
end

-- A program's globals leave after every run, long arrays among them: short texts need no string of
-- their own, and ints that do not fit a byte are packed eight at a time.
local SHORT_TEXTS <const> = {}
for n = 0, 31 do SHORT_TEXTS[n] = bytechar(0xa0 + n) end
local EIGHT_INTS <const> = ">" .. string.rep("Bi8", 8)

local function eight_ints(backing, i)
	for k = i, i + 7 do
		local v = backing[k]
		if mathtype(v) ~= "integer" or v >= 0 and v < 128 then return false end
	end
	return true
end

local function encode_array(v, out, n, depth)
	local backing, offset, count = v[2], v[3], v[4]
	n = n + 1
	out[n] = header(count, 0x90, 0xdc, 0xdd)
	local i, last = offset, offset + count - 1
	while i <= last do
		local item = backing[i]
		local kind = type(item)
		if kind == "string" and #item < 32 and utf8len(item) then
			out[n + 1], out[n + 2] = SHORT_TEXTS[#item], item
			n, i = n + 2, i + 1
		elseif kind == "number" and i + 7 <= last and eight_ints(backing, i) then
			n = n + 1
			out[n] = pack(EIGHT_INTS, 0xd3, item, 0xd3, backing[i + 1], 0xd3, backing[i + 2], 0xd3, backing[i + 3],
				0xd3, backing[i + 4], 0xd3, backing[i + 5], 0xd3, backing[i + 6], 0xd3, backing[i + 7])
			i = i + 8
		else
			n = encode(item, out, n, depth + 1)
			i = i + 1
		end
	end
	return n
end

local function encode_map(v, out, n, depth)
	v = T.base(v)
	n = n + 1
	out[n] = header(v[2], 0x80, 0xde, 0xdf)
	for key, value in next, v do
		if key ~= 1 and key ~= 2 and key ~= 3 then
			out[n + 1] = encode_text(key)
			n = encode(value, out, n + 1, depth + 1)
		end
	end
	if v[3] then
		for key in next, v[3] do
			out[n + 1], out[n + 2] = encode_text(key), "\xc0"
			n = n + 2
		end
	end
	return n
end

local function encode_table(v, out, n, depth)
	if depth > MAX_DEPTH then
		error("a value nests deeper than " .. MAX_DEPTH .. " levels, or contains itself", 0)
	end
	local kind = v[1]
	if kind <= IMMUTABLE_ARRAY then return encode_array(v, out, n, depth) end
	if kind <= IMMUTABLE_MAP then return encode_map(v, out, n, depth) end
	if kind == CHAR then out[n + 1] = extension(EXT_CHAR, pack(">i8", v[2]))
	elseif kind == BYTES then out[n + 1] = encode_bytes(v[2])
	elseif kind == TIME then out[n + 1] = encode_time(v)
	else
		local parts = {}
		out[n + 1] = extension(EXT_ERROR, concat(parts, "", 1, encode(v[2], parts, 0, depth + 1)))
	end
	return n + 1
end

-- Append the encoding of `v` to the list `out` of `n` strings; returns the new length.  Raises a
-- plain string that says what cannot cross.
function encode(v, out, n, depth)
	local kind = type(v)
	if kind == "string" then out[n + 1] = encode_text(v)
	elseif kind == "number" then
		if mathtype(v) == "float" then out[n + 1] = pack(">Bd", 0xcb, v)
		elseif v >= 0 and v < 128 then out[n + 1] = bytechar(v)
		else out[n + 1] = pack(">Bi8", 0xd3, v) end
	elseif kind == "table" then return encode_table(v, out, n, depth)
	elseif kind == "nil" then out[n + 1] = "\xc0"
	elseif kind == "boolean" then out[n + 1] = v and "\xc3" or "\xc2"
	else
		local handle = handle_of[v]
		if not handle then error("a function cannot cross", 0) end
		out[n + 1] = extension(EXT_HOST, pack(">I8", handle))
	end
	return n + 1
end

T.encode_into = encode

-- The encoding of one value as a string.
function T.encode(v)
	local out = {}
	return concat(out, "", 1, encode(v, out, 0, 1))
end

-- The encoding of one value, or nil when it cannot cross.
function T.try_encode(v)
	local ok, found = pcall(T.encode, v)
	return ok and found or nil
end

-- The encoding of `n` values as one list.
function T.encode_list(n, ...)
	local out, values = { header(n, 0x90, 0xdc, 0xdd) }, { ... }
	local count = 1
	for i = 1, n do count = encode(values[i], out, count, 1) end
	return concat(out, "", 1, count)
end

-- The encoding of a map whose values are encoded already: pairs of key and encoding.
function T.encode_fields(fields)
	local out, n, count = {}, 1, 0
	for key, encoded in next, fields do
		out[n + 1], out[n + 2] = encode_text(key), encoded
		n, count = n + 2, count + 1
	end
	out[1] = header(count, 0x80, 0xde, 0xdf)
	return concat(out, "", 1, n)
end

-- Plain data for a service of the Python side: numbers, booleans, nil, strings (always as bytes)
-- and lists of those with a length `n` or without nil.
local function encode_plain(v, out, n)
	if type(v) == "string" then out[n + 1] = encode_bytes(v)
	elseif type(v) == "table" then
		local count = v.n or #v
		n = n + 1
		out[n] = header(count, 0x90, 0xdc, 0xdd)
		for i = 1, count do n = encode_plain(v[i], out, n) end
		return n
	else return encode(v, out, n, 1) end
	return n + 1
end

function T.encode_plain(v)
	local out = {}
	return concat(out, "", 1, encode_plain(v, out, 0))
end
