-- What is wrong with a JSON text, in the words of Go's encoding/json, and its indentation.
--
-- Go reads a text byte by byte through a machine of states, and its words follow from the state at
-- the first byte that does not fit.  At the end of the text it feeds the machine one space more.

local T = ...

local byte, sub, rep, find, match, gsub = string.byte, string.sub, string.rep, string.find, string.match, string.gsub
local concat = table.concat

local MAX_DEPTH <const> = 10000
T.json_max_depth = MAX_DEPTH

local UNFINISHED <const> = "unexpected end of JSON input"

local function quoted_byte(b)
	if b == 39 then return "'\\''" end
	if b == 34 then return "'\"'" end
	return "'" .. sub(T.quote(T.rune_text(b)), 2, -2) .. "'"
end

-- The complaint about the byte at `i`, a space at the end.
local function unfit(s, i, where)
	return nil, "invalid character " .. quoted_byte(byte(s, i) or 32) .. " " .. where
end

local SIMPLE_ESCAPES <const> = "[bfnrt\\/\"]"

local function string_end(s, i)
	i = i + 1
	while true do
		i = find(s, "[\0-\31\"\\]", i)
		if not i then return nil, UNFINISHED end
		local b = byte(s, i)
		if b == 34 then return i + 1 end
		if b ~= 92 then return unfit(s, i, "in string literal") end
		i = i + 1
		if byte(s, i) == 117 then
			for _ = 1, 4 do
				i = i + 1
				if not find(s, "^%x", i) then return unfit(s, i, "in \\u hexadecimal character escape") end
			end
		elseif not find(s, "^" .. SIMPLE_ESCAPES, i) then return unfit(s, i, "in string escape code") end
		i = i + 1
	end
end

local function number_end(s, i)
	if byte(s, i) == 45 then i = i + 1 end
	local digits = match(s, "^%d+", i)
	if not digits then return unfit(s, i, "in numeric literal") end
	i = i + (byte(digits) == 48 and 1 or #digits)
	if byte(s, i) == 46 then
		digits = match(s, "^%d+", i + 1)
		if not digits then return unfit(s, i + 1, "after decimal point in numeric literal") end
		i = i + 1 + #digits
	end
	if find(s, "^[eE]", i) then
		i = find(s, "^[+-]", i + 1) and i + 2 or i + 1
		digits = match(s, "^%d+", i)
		if not digits then return unfit(s, i, "in exponent of numeric literal") end
		i = i + #digits
	end
	return i
end

local WORDS <const> = { [116] = "true", [102] = "false", [110] = "null" }

-- The byte after the string, number or word at `i`, or nil and what is wrong.
local function literal_end(s, i)
	local b = byte(s, i)
	if b == 34 then return string_end(s, i) end
	if b == 45 or b >= 48 and b <= 57 then return number_end(s, i) end
	local word = WORDS[b]
	if not word then return unfit(s, i, "looking for beginning of value") end
	for k = 2, #word do
		i = i + 1
		if byte(s, i) ~= byte(word, k) then
			return unfit(s, i, "in literal " .. word .. " (expecting '" .. sub(word, k, k) .. "')")
		end
	end
	return i + 1
end

local function after_spaces(s, i) return find(s, "[^ \t\r\n]", i) or #s + 1 end

-- The byte after an object's next key and its colon, or nil and what is wrong.
local function key_end(s, i)
	if i > #s then return nil, UNFINISHED end
	if byte(s, i) ~= 34 then return unfit(s, i, "looking for beginning of object key string") end
	local problem
	i, problem = string_end(s, i)
	if not i then return nil, problem end
	i = after_spaces(s, i)
	if i > #s then return nil, UNFINISHED end
	if byte(s, i) ~= 58 then return unfit(s, i, "after object key") end
	return i + 1
end

-- What is wrong with a JSON text; nil for a good one.
function T.json_problem(s)
	local closers, depth, i, problem = {}, 0, 1, nil
	while true do
		-- A value begins here.
		i = after_spaces(s, i)
		local b, ended = byte(s, i), true
		if not b then return UNFINISHED end
		if b == 123 or b == 91 then
			depth = depth + 1
			if depth > MAX_DEPTH then return "exceeded max depth" end
			closers[depth] = b + 2
			i = after_spaces(s, i + 1)
			if byte(s, i) ~= b + 2 then -- or the end of what was opened, seen below
				ended = false
				if b == 123 then
					i, problem = key_end(s, i)
					if not i then return problem end
				end
			end
		else
			i, problem = literal_end(s, i)
			if not i then return problem end
		end
		-- A value has ended here.
		while ended do
			i = after_spaces(s, i)
			b = byte(s, i)
			local closer = closers[depth]
			if depth == 0 then
				if not b then return nil end
				_, problem = unfit(s, i, "after top-level value")
				return problem
			end
			if not b then return UNFINISHED end
			if b == closer then
				depth = depth - 1
				i = i + 1
			elseif b == 44 then
				ended = false
				i = i + 1
				if closer == 125 then
					i, problem = key_end(s, after_spaces(s, i))
					if not i then return problem end
				end
			else
				_, problem = unfit(s, i, closer == 125 and "after object key:value pair" or "after array element")
				return problem
			end
		end
	end
end

-- Go's json.Indent of a good JSON text.
function T.json_indented(s, prefix, indent)
	-- Space after the value stays; it is looked for from the end.
	local last = #s
	while find(s, "^[ \t\r\n]", last) do last = last - 1 end
	local out, n, i, depth, fresh = {}, 0, 1, 0, false
	local lines = {} -- by depth
	local function line()
		local text = lines[depth]
		if not text then
			text = "\n" .. prefix .. rep(indent, depth)
			lines[depth] = text
		end
		return text
	end
	while i <= last do
		i = after_spaces(s, i)
		local b, stop = byte(s, i), i
		if fresh and b ~= 125 and b ~= 93 then
			fresh, depth = false, depth + 1
			n = n + 1
			out[n] = line()
		end
		n = n + 1
		if b == 34 then
			stop = string_end(s, i) - 1
			out[n] = sub(s, i, stop)
		elseif b == 123 or b == 91 then
			fresh = true
			out[n] = b == 123 and "{" or "["
		elseif b == 125 or b == 93 then
			if fresh then fresh = false
			else
				depth = depth - 1
				out[n] = line()
				n = n + 1
			end
			out[n] = b == 125 and "}" or "]"
		elseif b == 44 then out[n] = "," .. line()
		elseif b == 58 then out[n] = ": "
		else
			stop = find(s, "[] \t\r\n,}]", i) or last + 1
			stop = stop - 1
			out[n] = sub(s, i, stop)
		end
		i = stop + 1
	end
	out[n + 1] = sub(s, last + 1)
	return concat(out)
end

local HTML <const> = { ["<"] = "\\u003c", [">"] = "\\u003e", ["&"] = "\\u0026" }

-- Go's json.HTMLEscape.
function T.json_html_escaped(s)
	s = gsub(s, "[<>&]", HTML)
	return (gsub(gsub(s, "\xe2\x80\xa8", "\\u2028"), "\xe2\x80\xa9", "\\u2029"))
end
