local shared = module:shared("/*/group/state")
shared.count = (shared.count or 0) + 1
shared.run = function() return "called across" end
module:hook("own", function() return module:shared("state") == module:shared("/localhost/left/state") end)
module:hook("forms", function()
	return { module:shared("a") == module:shared("left/a"), module:shared("a") == module:shared("localhost/left/a"),
		module:shared("a") == module:shared("/localhost/left/a"), module:shared("a") == module:shared("/*/left/a") }
end)
module:hook("several", function() local a, b = module:shared("a", "b"); a.x = 1; return { a.x, b.x == nil } end)
table_of_left = { 1, 2 }
