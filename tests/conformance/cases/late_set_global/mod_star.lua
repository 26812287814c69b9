module.host = "*"
module:hook("star", function() return "star" end)
