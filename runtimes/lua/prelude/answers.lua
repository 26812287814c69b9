-- What a script writes besides a plain body: header fields, redirects and errors, as Go's
-- http.Redirect and http.Error answer, which is where ServeMSX takes them from.
--
-- Pure functions over an answer, `{status, redirect, headers, body}`: `headers` is a list of
-- {name, list of values}, `body` a list of strings.  Shared by the languages that run on Lua.

local gsub, ipairs, lower, remove = string.gsub, ipairs, string.lower, table.remove

local PHRASES <const> = {
	[300] = "Multiple Choices", [301] = "Moved Permanently", [302] = "Found", [303] = "See Other",
	[304] = "Not Modified", [305] = "Use Proxy", [307] = "Temporary Redirect", [308] = "Permanent Redirect",
}
local MARKUP <const> = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&#34;", ["'"] = "&#39;" }

-- A field in place of all of its name; none when `value` is nil.
local function set(answer, name, value)
	local headers = answer.headers
	for i = #headers, 1, -1 do
		if lower(headers[i][1]) == lower(name) then remove(headers, i) end
	end
	if value then headers[#headers + 1] = { name, { value } } end
end

-- Whether there is neither a body nor a type of one yet.
local function is_bare(answer)
	if #answer.body > 0 then return false end
	for _, field in ipairs(answer.headers) do
		if lower(field[1]) == "content-type" then return false end
	end
	return true
end

-- Answer with an error's text; only while `is_bare`.
local function failure(answer, text)
	set(answer, "Content-Type", "text/plain; charset=utf-8")
	set(answer, "X-Content-Type-Options", "nosniff")
	answer.body[#answer.body + 1] = text .. "\n"
end

-- Redirect to `place`, an address that `redirected` of urls.lua made.
local function redirect(answer, method, status, place)
	answer.redirect = place
	set(answer, "Location", nil)
	if status ~= 304 and (method == "GET" or method == "HEAD") and is_bare(answer) then
		-- RFC 9110 section 15.4 asks for a note with the link.
		set(answer, "Content-Type", "text/html; charset=utf-8")
		local link = gsub(place, "[&<>\"']", MARKUP)
		answer.body[#answer.body + 1] = '<a href="' .. link .. '">' .. (PHRASES[status] or "") .. "</a>.\n\n"
	end
end

return { is_bare = is_bare, failure = failure, redirect = redirect }
