-- `write` of the module `server`: what a script answers.
--
-- The document of ServeMSX says: a map sets headers, an int the status, an int from 300 to 399
-- before a string redirects there, all else is the body.  ServeMSX itself forgets a status without
-- a text in the same call; here it counts.  As there, a status of 400 and more makes the text an
-- error page (`failure` of the shared answers.lua) unless the script named a type.

local T = ...

local type, next, ipairs = type, next, ipairs
local mathtype, concat = math.type, table.concat
local text, array, bad, fail, encode_into = T.text, T.array, T.bad_argument, T.fail, T.encode_into
local answers, urls = T.pure.answers, T.pure.urls

local MAP <const>, BYTES <const> = T.MAP, T.BYTES

-- The string of a value where undefined counts as empty.
local function text_or_empty(value)
	if value == nil then return "" end
	if type(value) == "table" and value[1] == BYTES then return value[2] end
	return text(value)
end
T.text_or_empty = text_or_empty

-- The strings in a value of a map of headers or fields: those of an array, or the value's own.
local function texts(value)
	if not T.is_array(value) then return { text_or_empty(value) } end
	local list = {}
	for i = 0, value[4] - 1 do list[i + 1] = text_or_empty(T.array_get(value, i)) end
	return list
end
T.texts = texts

function T.new_answer() return { headers = {}, body = {} } end

local function put_headers(answer, map)
	for _, name in ipairs(T.map_keys(map)) do
		local list = texts(T.map_get(map, name))
		T.spend(#name + #concat(list) + 4)
		answer.headers[#answer.headers + 1] = { name, list }
	end
end

local function put_status(answer, status)
	-- Informational ones are not final: Go sends 200 after them, which is what is sent without.
	if status > 0 and status < 100 or status > 999 then fail("invalid WriteHeader code " .. status) end
	if status >= 200 then answer.status = status end
end

-- The function `write` for one run; `method` and `uri` are the request's.
function T.writer(answer, method, uri)
	local begun = false -- a status or a text was written: too late for headers
	local failing = false -- the status is an error's, and its text is still to come
	return function(n, ...)
		local values, redirecting = { ... }, false
		for i = 1, n do
			local value = values[i]
			local is_int = mathtype(value) == "integer"
			if is_int or type(value) == "table" and value[1] == MAP then
				if begun then return bad(nil, i - 1 .. "-th", "nor map or int", value) end
				if is_int then
					put_status(answer, value)
					begun = true
					redirecting, failing = value >= 300 and value <= 399, value >= 400
				else put_headers(answer, value) end
			else
				if value ~= nil then
					local shown = text_or_empty(value)
					if redirecting then
						local place = urls.redirected(uri, shown)
						T.spend(#place * 2)
						answers.redirect(answer, method, answer.status, place)
					else
						T.spend(#shown)
						if failing and answers.is_bare(answer) then answers.failure(answer, shown)
						else answer.body[#answer.body + 1] = shown end
					end
					begun = true
				end
				redirecting, failing = false, false
			end
		end
		return nil
	end
end

-- What the engine is told of an answer, encoded; `panic` is what the script ended with, or nil.
function T.encode_answer(answer, panic)
	local headers = {}
	for i, field in ipairs(answer.headers) do
		headers[i] = array({ field[1], array(field[2], #field[2]) }, 2)
	end
	local out = { "\x85\xa6status" }
	local n = encode_into(answer.status, out, 1, 1)
	out[n + 1] = "\xa8redirect"
	n = encode_into(answer.redirect, out, n + 1, 1)
	out[n + 1] = "\xa7headers"
	n = encode_into(array(headers, #headers), out, n + 1, 1)
	out[n + 1] = "\xa4body"
	n = encode_into(T.bytes(concat(answer.body)), out, n + 1, 1)
	out[n + 1] = "\xa5panic"
	return concat(out, "", 1, encode_into(panic, out, n + 1, 1))
end

-- A map of arrays of strings, of name -> list.
function T.map_of_lists(fields)
	local map = T.map()
	for name, list in next, fields do
		local copy = {}
		for i = 1, #list do copy[i] = list[i] end
		T.map_set(map, name, array(copy, #copy))
	end
	return map
end

-- The reverse.
function T.lists_of_map(map)
	local fields = {}
	for _, name in ipairs(T.map_keys(map)) do fields[name] = texts(T.map_get(map, name)) end
	return fields
end
