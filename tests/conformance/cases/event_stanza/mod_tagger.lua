module:hook("message/bare", function(data)
	local stanza = data.stanza
	stanza:tag("seen", { xmlns = "urn:x" }):text("by " .. stanza.attr.to):up()
	stanza.attr.id = "tagged"
end, 1)
