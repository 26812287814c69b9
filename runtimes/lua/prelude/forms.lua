-- HTML forms in a request's body: multipart/form-data (RFC 7578) and urlencoded ones.
--
-- Pure functions over strings and plain tables, as urls.lua.  The body comes from strangers: every
-- part is looked at once, and a form that breaks a rule or a limit has no fields, as with Go.

local byte, find, gmatch, lower, match, sub = string.byte, string.find, string.gmatch, string.lower, string.match, string.sub
local concat, ipairs = table.concat, ipairs

local MAX_PARTS <const>, MAX_HEAD <const>, MAX_BOUNDARY <const> = 1000, 4096, 70
local BODY_METHODS <const> = { POST = true, PUT = true, PATCH = true }

---------------------------------------------------------------------------------- header values

local function trimmed(text)
	local from = find(text, "[^ \t]")
	return from and match(text, "^.*[^ \t]", from) or ""
end

-- The quoted text that begins at `at`, and where it ends; nil when it does not.
local function quoted_value(text, at)
	local parts = {}
	while true do
		local stop = find(text, '["\\]', at)
		if not stop then return nil end
		parts[#parts + 1] = sub(text, at, stop - 1)
		if byte(text, stop) == 34 then return concat(parts), stop + 1 end
		-- Any other backslash is one: there are browsers that send whole Windows paths.
		local escaped = match(text, '^["\\]', stop + 1)
		parts[#parts + 1] = escaped or "\\"
		at = stop + (escaped and 2 or 1)
	end
end

-- The kind and the parameters of `form-data; name="x"`, kind and names in lower case.
local function kind_of(text)
	local parameters, at = {}, find(text, ";", 1, true)
	local kind = lower(trimmed(sub(text, 1, (at or 0) - 1)))
	while at do
		local stop = find(text, "[=;]", at + 1)
		if stop and byte(text, stop) == 61 then
			local name, value = lower(trimmed(sub(text, at + 1, stop - 1))), nil
			local first = find(text, "[^ \t]", stop + 1) or #text + 1
			if byte(text, first) == 34 then
				value, first = quoted_value(text, first + 1)
				if not value then break end
				at = find(text, ";", first, true)
			else
				at = find(text, ";", first, true)
				value = trimmed(sub(text, first, (at or 0) - 1))
			end
			if parameters[name] == nil then parameters[name] = value end
		else at = stop end
	end
	return kind, parameters
end

---------------------------------------------------------------------------------- multipart

-- What follows a boundary at `at`: where the next part begins, or true for the end of the form.
local function after_boundary(body, at)
	local _, line_end = find(body, "^[ \t]*\r?\n", at)
	if line_end then return line_end + 1 end
	if find(body, "^%-%-[ \t]*\r?\n", at) or find(body, "^%-%-[ \t]*$", at) then return true end
end

-- Where the form's first part begins, and how its lines end.
local function first_part(body, line)
	local from, found = 1, sub(body, 1, #line) == line and 1 or nil
	while true do
		if not found then
			local before = find(body, "\n" .. line, from, true)
			if not before then return nil end
			found = before + 1
		end
		local start = after_boundary(body, found + #line)
		if start == true then return nil end
		if start then return start, sub(body, start - 2, start - 2) == "\r" and "\r\n" or "\n" end
		from, found = found + #line, nil
	end
end

-- The field's name and whether it is a file, from the head of a part.
local function field_of(head)
	for line in gmatch(head, "[^\r\n]+") do
		local name, value = match(line, "^([^:]*):(.*)$")
		if name and lower(trimmed(name)) == "content-disposition" then
			local kind, parameters = kind_of(value)
			if kind ~= "form-data" then return nil end
			return parameters.name, (parameters.filename or parameters["filename*"]) ~= nil
		end
	end
end

-- The parts of a form as a list of {name, value, is_file}; nil when it is not well-formed.
local function multipart(body, boundary)
	if boundary == "" or #boundary > MAX_BOUNDARY then return nil end
	local line, parts, count = "--" .. boundary, {}, 0
	local start, newline = first_part(body, line)
	while start ~= true do
		if not start then return nil end
		count = count + 1
		if count > MAX_PARTS then return nil end
		local head, content = "", start + #newline
		if sub(body, start, content - 1) ~= newline then
			local blank = find(body, newline .. newline, start, true)
			if not blank or blank - start > MAX_HEAD then return nil end
			head, content = sub(body, start, blank - 1), blank + 2 * #newline
		end
		-- An empty part's boundary may share the line break that ends its head.
		local from, stop = content - #newline, nil
		start = nil
		while not start do
			stop = find(body, newline .. line, from, true)
			if not stop then return nil end
			start = after_boundary(body, stop + #newline + #line)
			from = stop + 1
		end
		local name, is_file = field_of(head)
		if name and name ~= "" then
			parts[#parts + 1] = { name, sub(body, content, stop - 1), is_file }
		end
	end
	return parts
end

---------------------------------------------------------------------------------- the form

-- The fields of a request's form, a map of lists, and its files, a map of their bytes.
-- `parse_query` is that of urls.lua.
local function form(method, content_type, body, parse_query)
	local fields, files = {}, {}
	if not BODY_METHODS[method] then return fields, files end
	local kind, parameters = kind_of(content_type)
	if kind == "application/x-www-form-urlencoded" then
		parse_query(body, fields)
	elseif kind == "multipart/form-data" then
		for _, part in ipairs(multipart(body, parameters.boundary or "") or {}) do
			local name, value, is_file = part[1], part[2], part[3]
			if not is_file then
				local list = fields[name]
				if list then list[#list + 1] = value else fields[name] = { value } end
			elseif files[name] == nil then files[name] = value end
		end
	end
	return fields, files
end

return { form = form, multipart = multipart, kind_of = kind_of }
