module:hook("loop", function() while true do end end)
module:hook("caught loop", function()
	while true do pcall(function() while true do local _ = ("x"):rep(10) end end) end
end)
module:hook("memory", function()
	local s = "x"
	while true do s = s .. s end
end)
module:hook("caught memory", function()
	local all = {}
	while true do
		pcall(function() while true do all[#all + 1] = ("x"):rep(1 << 16) .. #all end end)
	end
end)
module:hook("output", function() while true do pcall(module.log, module, "info", ("x"):rep(1000)) end end)
module:hook("calls", function() while true do pcall(module.get_option, module, "x") end end)
module:hook("alive", function() return "alive" end)
