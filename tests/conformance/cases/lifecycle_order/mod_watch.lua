for _, event in ipairs { "module-loaded", "module-unloaded", "module-reloaded" } do
	module:hook(event, function(data) module:log("info", "%s %s@%s", event, data.module, data.host) end)
end
