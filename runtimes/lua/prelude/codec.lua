-- Values to msgpack and back, inside the Lua state.
--
-- The Python side of the worker hands over and takes back byte strings only, so no Python object
-- ever enters a Lua state.  This is the Lua half of sandbox/wire/codec.py: the same extension
-- types and the same caps.  Lua has one container; a table is a list when its keys are exactly
-- 1..n and a map otherwise.  Map keys that are numbers become text.  Strings are bytes: valid
-- UTF-8 crosses as text, anything else as bytes.

local core = ...

local byte, sub, char = string.byte, string.sub, string.char
local pack, unpack = string.pack, string.unpack
local concat, utf8len, mathtype = table.concat, utf8.len, math.type
local type, next, error, rawget, rawlen = type, next, error, rawget, rawlen
local getmetatable, setmetatable, tostring = debug.getmetatable, setmetatable, tostring

local MAX_DEPTH <const> = 64
local EXT_TIME <const>, EXT_HOST <const>, EXT_GUEST <const> = 1, 2, 3
local EXT_CHAR <const>, EXT_ERROR <const>, EXT_STANZA <const> = 4, 5, 6

-- An empty table could be either; one that was received as a list, or made by util.array, is
-- marked by its metatable so that it goes back as a list.
local list_mt = { __metatable = false, __name = "list" }
core.list_mt = list_mt
-- Metatables of lists, and of stanza objects: each environment that loads the libraries has its
-- own.  Weak, so that they end with their environment; looked up, because `==` would run a guest's
-- `__eq`.
local is_list_mt = setmetatable({ [list_mt] = true }, { __mode = "k" })
local is_stanza_mt = setmetatable({}, { __mode = "k" })
core.is_list_mt, core.is_stanza_mt = is_list_mt, is_stanza_mt

-- Host functions received as data: closure -> handle and handle -> closure.
local handle_of = setmetatable({}, { __mode = "k" })
local closure_of = setmetatable({}, { __mode = "v" })
-- Guest functions given out as data: id -> function and function -> id.
local given, given_id, given_count = {}, {}, 0
core.given = given
function core.is_host_function(f) return handle_of[f] ~= nil end

local function host_closure(handle)
	local closure = closure_of[handle]
	if not closure then
		closure = function(...) return core.call_handle(handle, ...) end
		closure_of[handle] = closure
		handle_of[closure] = handle
	end
	return closure
end

---------------------------------------------------------------------------------- decoding

local decode

local function decode_list(s, pos, n)
	if n == 0 then return setmetatable({}, list_mt), pos end
	local t = n < 3 and {} or { nil, nil, nil, nil }
	for i = 1, n do
		local b = byte(s, pos)
		if b < 0x80 then t[i] = b; pos = pos + 1
		elseif b >= 0xa0 and b < 0xc0 then
			local last = pos + b - 0xa0
			t[i] = sub(s, pos + 1, last); pos = last + 1
		else t[i], pos = decode(s, pos) end
	end
	return t, pos
end

local function decode_map(s, pos, n)
	local t
	-- Constructors that name keys make room for them: no growing step by step.
	if n < 3 then t = {}
	elseif n < 5 then t = { a = nil, b = nil, c = nil, d = nil }
	else t = { a = nil, b = nil, c = nil, d = nil, e = nil, f = nil, g = nil, h = nil } end
	for _ = 1, n do
		local b, key = byte(s, pos), nil
		if b >= 0xa0 and b < 0xc0 then
			local last = pos + b - 0xa0
			key = sub(s, pos + 1, last); pos = last + 1
		else key, pos = decode(s, pos) end
		b = byte(s, pos)
		if b < 0x80 then t[key] = b; pos = pos + 1
		elseif b >= 0xa0 and b < 0xc0 then
			local last = pos + b - 0xa0
			t[key] = sub(s, pos + 1, last); pos = last + 1
		elseif b == 0xc3 then t[key] = true; pos = pos + 1
		elseif b == 0xcb then t[key], pos = unpack(">d", s, pos + 1)
		else t[key], pos = decode(s, pos) end
	end
	return t, pos
end

local function decode_ext(s, pos, size)
	local code, first, following = byte(s, pos), pos + 1, pos + 1 + size
	if code == EXT_HOST then return host_closure((unpack(">I8", s, first))), following end
	if code == EXT_CHAR then return (unpack(">i8", s, first)), following end
	if code == EXT_TIME then return unpack(">i8", s, first) / 1e6, following end
	if code == EXT_ERROR then return { error = (decode(s, first)) }, following end
	if code == EXT_STANZA then
		return core.new_stanza((decode(s, first))), following
	end
	if code == EXT_GUEST then return given[(unpack(">I8", s, first))], following end
	error("unknown extension type " .. code)
end

local function sized(format)
	return function(s, pos) return unpack(format, s, pos) end
end

local function sized_ext(format)
	return function(s, pos)
		local size, after = unpack(format, s, pos)
		return decode_ext(s, after, size)
	end
end

local function fixed_ext(size)
	return function(s, pos) return decode_ext(s, pos, size) end
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
	[0xc4] = sized ">s1", [0xc5] = sized ">s2", [0xc6] = sized ">s4",
	[0xc7] = sized_ext ">I1", [0xc8] = sized_ext ">I2", [0xc9] = sized_ext ">I4",
	[0xca] = sized ">f", [0xcb] = sized ">d",
	[0xcc] = sized ">I1", [0xcd] = sized ">I2", [0xce] = sized ">I4", [0xcf] = sized ">i8",
	[0xd0] = sized ">i1", [0xd1] = sized ">i2", [0xd2] = sized ">i4", [0xd3] = sized ">i8",
	[0xd4] = fixed_ext(1), [0xd5] = fixed_ext(2), [0xd6] = fixed_ext(4),
	[0xd7] = fixed_ext(8), [0xd8] = fixed_ext(16),
	[0xd9] = sized ">s1", [0xda] = sized ">s2", [0xdb] = sized ">s4",
	[0xdc] = counted(">I2", decode_list), [0xdd] = counted(">I4", decode_list),
	[0xde] = counted(">I2", decode_map), [0xdf] = counted(">I4", decode_map),
}

-- The value at `pos` of `s`, and the position after it.  What arrives here was encoded by the
-- engine, so the caps were kept by the sender; a broken body raises a Lua error.
function decode(s, pos)
	local b = byte(s, pos)
	if b < 0x80 then return b, pos + 1 end
	if b < 0x90 then return decode_map(s, pos + 1, b - 0x80) end
	if b < 0xa0 then return decode_list(s, pos + 1, b - 0x90) end
	if b < 0xc0 then
		local last = pos + b - 0xa0
		return sub(s, pos + 1, last), last + 1
	end
	if b >= 0xe0 then return b - 0x100, pos + 1 end
	return decoders[b](s, pos + 1)
end
core.decode = decode

---------------------------------------------------------------------------------- encoding

local fixstr, fixint = {}, {}
for n = 0, 31 do fixstr[n] = char(0xa0 + n) end
for n = 0, 127 do fixint[n] = char(n) end
for n = -32, -1 do fixint[n] = char(n + 0x100) end

local function header(n, fix, limit, wide16, wide32)
	if n < limit then return char(fix + n) end
	if n < 0x10000 then return pack(">BI2", wide16, n) end
	return pack(">BI4", wide32, n)
end

local function encode_text(v)
	local n = #v
	if not utf8len(v) then
		if n < 0x100 then return pack(">Bs1", 0xc4, v) end
		return pack(">Bs4", 0xc6, v)
	end
	if n < 32 then return fixstr[n] .. v end
	if n < 0x100 then return pack(">Bs1", 0xd9, v) end
	return pack(">Bs4", 0xdb, v)
end

local encode

-- The same short strings leave again and again: keys, above all.  Their encodings are kept.
local short, short_count = {}, 0

local function encode_short(v)
	local encoded = encode_text(v)
	if short_count == 4096 then short, short_count = {}, 0 end
	short_count = short_count + 1
	short[v] = encoded
	return encoded
end

local function encode_key(k)
	local kind = type(k)
	if kind == "string" then return #k < 32 and encode_short(k) or encode_text(k) end
	if kind == "number" then return encode_text(tostring(k)) end
	error("a table key of type " .. kind .. " cannot cross", 0)
end

local function extension(code, data)
	return pack(">BI4B", 0xc9, #data, code) .. data
end

-- A stanza is nested lists {name, attributes, children}: one extension holds the whole tree.
local function stanza_parts(v, out, n, depth)
	if depth > MAX_DEPTH then error("a stanza nests deeper than " .. MAX_DEPTH .. " levels", 0) end
	out[n + 1] = "\x93"
	n = encode(tostring(rawget(v, "name")), out, n + 1, 1)
	local attributes = {}
	for key, value in next, rawget(v, "attr") or {} do attributes[tostring(key)] = tostring(value) end
	n = encode(attributes, out, n, 1)
	local count = rawlen(v)
	n = n + 1
	out[n] = header(count, 0x90, 16, 0xdc, 0xdd)
	for i = 1, count do
		local child = rawget(v, i)
		local mt = getmetatable(child)
		if mt and is_stanza_mt[mt] then n = stanza_parts(child, out, n, depth + 1)
		else n = encode(tostring(child), out, n, 1) end
	end
	return n
end

local function encode_stanza(v)
	local out = {}
	return extension(EXT_STANZA, concat(out, "", 1, stanza_parts(v, out, 0, 1)))
end

local function encode_function(v)
	local handle = handle_of[v]
	if handle then return extension(EXT_HOST, pack(">I8", handle)) end
	if not core.giving then error("a function cannot cross", 0) end
	local id = given_id[v]
	if not id then
		given_count = given_count + 1
		id = given_count
		given[id], given_id[v] = v, id
	end
	return extension(EXT_GUEST, pack(">I8", id))
end

local function encode_table(v, out, n, depth)
	if depth > MAX_DEPTH then
		error("a table nests deeper than " .. MAX_DEPTH .. " levels, or contains itself", 0)
	end
	local mt = getmetatable(v)
	if mt and is_stanza_mt[mt] then
		out[n + 1] = encode_stanza(v)
		return n + 1
	end
	-- Raw access only: a metamethod here would run guest code in the middle of a reply.
	local length, count = rawlen(v), 0
	local head = n + 1
	n = head
	if length > 0 then
		for _ in next, v do count = count + 1 end
		if count == length then
			out[head] = header(count, 0x90, 16, 0xdc, 0xdd)
			for i = 1, count do n = encode(rawget(v, i), out, n, depth + 1) end
			return n
		end
		count = 0
	end
	for key, value in next, v do
		count = count + 1
		n = n + 1
		out[n] = short[key] or encode_key(key)
		local known = short[value]
		if known then n = n + 1; out[n] = known
		else n = encode(value, out, n, depth + 1) end
	end
	if count == 0 and is_list_mt[mt] then out[head] = "\x90"
	else out[head] = header(count, 0x80, 16, 0xde, 0xdf) end
	return n
end

-- Append the encoding of `v` to the list `out` of `n` strings; returns the new length.  Raises
-- a plain string that says what cannot cross.
function encode(v, out, n, depth)
	local kind = type(v)
	if kind == "string" then
		out[n + 1] = short[v] or (#v < 32 and encode_short(v) or encode_text(v))
	elseif kind == "number" then
		if mathtype(v) == "float" then out[n + 1] = pack(">Bd", 0xcb, v)
		else out[n + 1] = fixint[v] or pack(">Bi8", 0xd3, v) end
	elseif kind == "table" then return encode_table(v, out, n, depth)
	elseif kind == "nil" then out[n + 1] = "\xc0"
	elseif kind == "boolean" then out[n + 1] = v and "\xc3" or "\xc2"
	elseif kind == "function" then out[n + 1] = encode_function(v)
	else error("a value of type " .. kind .. " cannot cross", 0) end
	return n + 1
end
core.encode = encode

-- The encoding of a list of `count` values that may be nil, as one string.
function core.encode_list(count, ...)
	local out = { header(count, 0x90, 16, 0xdc, 0xdd) }
	local n, values = 1, { ... }
	for i = 1, count do n = encode(values[i], out, n, 1) end
	return concat(out, "", 1, n)
end

-- One list of pieces serves every answer; encoding never yields, so it is never used twice at once.
local pieces = {}

-- The body `head`, then the encoding of `v`, as one string.
function core.encode_after(head, v)
	pieces[1] = head
	local n = encode(v, pieces, 1, 1)
	local body = concat(pieces, "", 1, n)
	if n > 1024 then pieces = {} end
	return body
end

-- Whether `v` is plain data all the way down (what `execute` may give back as a global).
function core.is_plain(v, depth)
	local kind = type(v)
	if kind == "function" or kind == "thread" or kind == "userdata" then return false end
	if kind ~= "table" then return true end
	if depth > MAX_DEPTH then return false end
	for key, value in next, v do
		local key_kind = type(key)
		if key_kind ~= "string" and key_kind ~= "number" then return false end
		if not core.is_plain(value, depth + 1) then return false end
	end
	return true
end
