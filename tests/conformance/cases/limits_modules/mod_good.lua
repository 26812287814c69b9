local count = 0
module:hook("good", function() count = count + 1; return "good" end)
module:hook("never restarted", function() return count > 0 end)
