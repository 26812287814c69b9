module:hook("levels", function()
	for _, level in ipairs { "debug", "info", "warn", "error", "loud" } do module:log(level, "at %s", level) end
	print("printed", 5)
	module._log("info", "short %d", 2)
end)
module:hook("format", function()
	module:log("info", "%s and %d and %s", "text", 3, true)
	module:log("info", "%d", 2)
	module:log("info", "no args", "extra", 2)
	module:log("info", "two\nlines")
	module:log("info", "%s", "esc\27[31m")
	module:log("info", "%d%%", 100)
end)
module:hook("status", function()
	local seen = {}
	local function note() seen[#seen + 1] = table.concat({ (module:get_status() or "core") }, " ") end
	note()
	module:set_status("info", "fine"); note()
	module:set_status("error", "bad"); note()
	module:set_status("info", "better"); note()
	module:set_status("info", "forced", true); note()
	module:log_status("warn", "n=%d", 3); note()
	local kind, message = module:get_status()
	seen[#seen + 1] = kind .. " " .. message
	return seen
end)
module:hook("module-status/updated", function(data) module:log("info", "updated %s", data.name) end)
module:hook("bogus", function() module:set_status("bogus", "x"); return (module:get_status()) end)
