module:set_global()
local function watch(where)
	for _, event in ipairs { "module-loaded", "module-unloaded", "module-reloaded" } do
		where:hook(event, function(data) where:log("info", "%s %s@%s", event, data.module, data.host) end)
	end
end
watch(module)
module.add_host = watch
