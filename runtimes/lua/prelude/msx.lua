-- Links and player properties for the Media Station X app, as ServeMSX's settings give them.
--
-- Pure functions over strings and plain tables, as urls.lua; `escape` is the one of that file.

local concat, ipairs, match, next = table.concat, ipairs, string.match, next

-- The page of a torrent; `title` and `image` may be nil or empty.
local function torrent_link(host, link, title, image, escape)
	local query = {}
	for _, pair in ipairs { { "link", link }, { "ttl", title or "" }, { "img", image or "" } } do
		if pair[2] ~= "" then query[#query + 1] = pair[1] .. "=" .. escape(pair[2], "query") end
	end
	local text = concat(query, "&")
	return "content:http://" .. host .. "/msx/torr" .. (text ~= "" and "?" .. text or "")
end

-- The address that plays `link`: through the HTML5 plugin where the operator has set that.
local function player_link(settings, link, escape)
	local kind, address = match(link, "^(video:)(.*)$")
	if not kind then kind, address = match(link, "^(audio:)(.*)$") end
	if not kind then kind, address = "", link end
	if settings.html5x == true then
		address = "plugin:http://msx.benzac.de/plugins/html5x.html?url=" .. escape(address, "query")
	end
	return kind .. address
end

local LIVE <const> = {
	["button:play_pause:display"] = "false", ["button:forward:display"] = "false",
	["button:rewind:display"] = "false", ["button:restart:display"] = "false",
	["button:speed:display"] = "false", ["label:position"] = "...", ["label:duration"] = "...",
}

-- The properties of a player for a live stream or a film; `extended` is its kind of controls.
local function player_properties(settings, live, extended)
	local properties = {}
	for name, value in next, live and LIVE or {} do properties[name] = value end
	if extended then properties["control:type"] = "extended" end
	local action
	if settings.html5x == true then action = "panel:request:player:options"
	elseif settings.player == "tizen" then
		action = "content:request:interaction:init@http://msx.benzac.de/interaction/tizen.html"
	elseif settings.platform == "netcast" then action = "system:netcast:menu" end
	if action then
		properties["button:content:icon"], properties["button:content:action"] = "settings", action
	end
	return properties
end

return { torrent_link = torrent_link, player_link = player_link, player_properties = player_properties }
