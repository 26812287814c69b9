-- What Prosody's own probe has as a global function, and its listeners: one line per call or event.
local log = module

-- The modules under test call TRACE(...), which in the probe is a global of the whole server.
rawset(_G, "TRACE", function(...)
	local parts = table.pack(...)
	for i = 1, parts.n do parts[i] = tostring(parts[i]) end
	-- An error two levels up begins with the file of whoever called us.
	local _, place = pcall(error, "", 3)
	log:log("info", "trace %s: %s", place:match "^([^:]*):", table.concat(parts, " | "))
end)

local function event_line(where, name)
	return function(event)
		log:log("info", "event on %s: %s module=%s host=%s", where, name, event.module, event.host)
	end
end

local function item_line(where, name)
	return function(event)
		local source = tostring(event.source and event.source.name)
		if where ~= "GLOBAL" then source = source .. "@" .. tostring(event.source and event.source.host) end
		log:log("info", "event on %s: %s item=%s source=%s", where, name, tostring(event.item), source)
	end
end

local places = { GLOBAL = prosody.events, localhost = prosody.hosts.localhost.events,
	["two.localhost"] = prosody.hosts["two.localhost"].events }
for where, events in pairs(places) do
	for _, name in ipairs { "module-loaded", "module-unloaded", "module-reloaded" } do
		events.add_handler(name, event_line(where, name), 1000)
	end
	for _, name in ipairs { "item-added/t-item", "item-removed/t-item" } do
		events.add_handler(name, item_line(where, name))
	end
end

-- What the probe does with the environment of mod_t_eff, which outlives the module.
local kept
module:hook_global("fire other", function()
	kept = prosody.hosts.localhost.modules.t_eff or kept
	kept.fire_other()
end)
module:hook_global("kept loaded", function() return tostring(kept.module.loaded) end)
