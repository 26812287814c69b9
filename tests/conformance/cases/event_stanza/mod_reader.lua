module:hook("message/bare", function(data)
	return { data.stanza.name, data.stanza.attr.id, data.stanza:get_child_text("seen", "urn:x"), data.stanza:get_child_text("body") }
end)
module:hook("whole", function(data) return data.stanza end)
module:hook("inside", function(data)
	local st = require "util.stanza"
	local stanza = st.message({ to = "b@localhost" }, "yo")
	local result = module:fire_event("message/bare", { stanza = stanza })
	return { result[3], stanza.attr.id, stanza:get_child_text("seen", "urn:x") }
end)
