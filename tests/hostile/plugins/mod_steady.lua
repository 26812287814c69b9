-- The well-behaved second plugin: answers with the next number and the same text.
module:hook("steady", function(event)
	return { n = event.n + 1, text = event.text }
end)
