-- Answers an event with its own data: the smallest useful call.
module:hook("echo", function(event) return event end)
