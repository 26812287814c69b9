version = 1
function check(name) return name == "ada" end
module:provides("auth")
module:provides("net", { name = "given", port = 5 })
module:provides("http", { port = 8 })
