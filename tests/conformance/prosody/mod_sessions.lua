-- Sessions as a server has them, for modules that look into prosody.full_sessions.
module:hook("bind", function(data)
	local directed = {}
	for _, address in ipairs(data.directed) do directed[address] = true end
	prosody.full_sessions[data.address] = { full_jid = data.address, directed = directed }
end)
module:hook("rooms", function(data) return prosody.full_sessions[data.address].rooms_joined end)
