module.host = "*"
module.hook("star", lambda data: "star")
