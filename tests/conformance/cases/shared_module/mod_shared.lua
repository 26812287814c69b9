module:set_global()
local log = module
log:log("info", "chunk %s", module.host)
function module.load() log:log("info", "load") end
function module.save() log:log("info", "save"); return { n = 1 } end
function module.restore(state) log:log("info", "restore %d", state.n) end
function module.unload() log:log("info", "unload") end
local function outer() return module.host end
function module.add_host(module)
	local again = module.reloading and 1 or 0
	module:log("info", "add_host global=%d name=%s outer=%s reloading=%d",
		module.global and 1 or 0, module.name, outer(), again)
	module:hook("greet", function(data) return "hello " .. data.name .. " from " .. module.host end)
	module:add_item("part", module.host)
	function module.save() module:log("info", "host save"); return { at = module.host } end
	function module.restore(state) module:log("info", "host restore %s", state.at) end
	function module.unload() module:log("info", "host unload") end
end
