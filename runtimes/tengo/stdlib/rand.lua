-- The module "rand": Go's math/rand with a global source, and objects with sources of their own.
--
-- The global source is one per worker and is started with a seed nobody knows, unless the script
-- calls seed().  Go up to 1.19 would begin with seed 1 instead.

local T = ...

local random = T.random
local to_int = T.to_int

-- The functions over the source that `source()` gives.  `name_of` says what errors call them.
local function functions(source, restart, name_of)
	local function none(name, draw)
		local shown = name_of(name)
		return T.user_function(function(n)
			if n ~= 0 then return T.wrong_arguments(shown) end
			return draw(source())
		end, name_of(name, true))
	end
	local function one(name, act)
		local shown = name_of(name)
		return T.user_function(function(n, a)
			if n ~= 1 then return T.wrong_arguments(shown) end
			local number = to_int(a)
			if not number then return T.bad_argument(shown, "first", "int(compatible)", a) end
			return act(number)
		end, name_of(name, true))
	end
	local read_name = name_of("read")
	return {
		int = none("int", random.int63),
		float = none("float", random.float64),
		exp_float = none("exp_float", random.exponential),
		norm_float = none("norm_float", random.normal),
		intn = one("intn", function(limit) return random.int63n(source(), limit) end),
		perm = one("perm", function(count)
			return T.array(random.perm(source(), count), count)
		end),
		seed = one("seed", function(seed) restart(seed) end),
		-- Fills the bytes value itself.  A slice of bytes is a copy here, so that filling a slice
		-- does not fill what it was cut from.
		read = T.user_function(function(n, a)
			if n ~= 1 then return T.wrong_arguments(read_name) end
			if type(a) ~= "table" or a[1] ~= T.BYTES then
				return T.bad_argument(read_name, "first", "bytes", a)
			end
			local count = string.len(a[2])
			a[2] = random.read(source(), count)
			return count
		end, name_of("read", true)),
	}
end

-- Tengo 2.10.0 forgets the names of a module's own functions, not those of an object.
local function nameless(_, bare) return bare and "" or nil end
local function named(name, bare) return bare and name or "user-function:" .. name end

local module = functions(random.started, function(seed) random.seeded(random.global, seed) end, nameless)

module.rand = T.user_function(function(n, a)
	if n ~= 1 then return T.wrong_arguments() end
	local seed = to_int(a)
	if not seed then return T.bad_argument(nil, "first", "int(compatible)", a) end
	local own = random.seeded({}, seed)
	return T.immutable_map(functions(function() return own end,
		function(next_seed) random.seeded(own, next_seed) end, named))
end)

return module
