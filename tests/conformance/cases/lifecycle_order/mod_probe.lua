local function say(where)
	module:log("info", "%s %s reloading=%d saved=%d", where, module.host,
		module.reloading and 1 or 0, module.saved_state and module.saved_state.n or 0)
end
say "chunk"
module:hook("probe", function() return "one" end)
function module.load() say "load" end
function module.save() say "save"; return { n = 41 } end
function module.restore(state) say("restore " .. state.n) end
function module.unload() say "unload" end
