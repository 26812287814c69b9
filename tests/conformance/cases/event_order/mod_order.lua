local seen = {}
local function note(name, result)
	return function() seen[#seen + 1] = name; return result end
end
local a, b, c, d = note "a", note("b", false), note "c", note "d"
module:hook("order", a, 5)
module:hook("order", b, 1)
module:hook("order", c, -1)
module:hook("order", d, 10)
module:hook("equal", note "first")
module:hook("equal", note "second", 0)
module:hook("equal", note "third")
module:hook("equal", note "half", 0.5)
module:hook("equal", note "below", -0.5)
module:hook("twice", a)
module:hook("twice", a)
module:hook("change", function()
	module:unhook("order", b)
	module:hook("order", a, -5)
end)
local function once()
	seen[#seen + 1] = "once"
	module:unhook("mutate", once)
end
module:hook("mutate", once, 1)
module:hook("mutate", function()
	seen[#seen + 1] = "adder"
	module:hook("mutate", note "late", -1)
	module:unhook("mutate", c)
end, 0.5)
module:hook("mutate", c)
module:hook("seen", function() local was = seen; seen = {}; return table.concat(was, ",") end)
module:hook("zero", function() return 0 end, 2)
module:hook("zero", function() return "not reached" end, 1)
module:hook("empty", function() return "" end, 2)
module:hook("empty", function() return "not reached" end, 1)
