local server = require "server"
if server.path == "caught" then
	server.write(pcall(server.memory) and "kept" or "denied")
else server.memory(1) end
