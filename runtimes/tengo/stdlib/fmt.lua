-- The module "fmt": printing, and texts made from a format.

local T = ...

local concat = table.concat

-- The texts of the arguments in a row; undefined has none here.
local function joined(n, ...)
	local parts = { ... }
	for i = 1, n do parts[i] = T.to_string(parts[i]) or "" end
	return concat(parts, "", 1, n)
end

local function checked_format(n, s)
	if n == 0 then return T.wrong_arguments() end
	if type(s) ~= "string" then return T.bad_argument(nil, "format", "string", s) end
end

local module = {}

function module.print(n, ...) T.output(joined(n, ...)) end

function module.println(n, ...) T.output(joined(n, ...) .. "\n") end

function module.printf(n, s, ...)
	checked_format(n, s)
	-- A format alone comes out as the value it is, which is how Go's fmt.Print shows it: quoted.
	T.output(n == 1 and T.quote(s) or T.format(s, n - 1, ...))
end

function module.sprintf(n, s, ...)
	checked_format(n, s)
	if n == 1 then return s end
	return T.format(s, n - 1, ...)
end

for _, f in next, module do T.user_function(f) end
return module
