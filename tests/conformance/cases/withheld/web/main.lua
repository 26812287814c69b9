local server = require "server"
if server.path == "http" then
	server.request("http://example.org/")
elseif server.path == "memory" then
	server.memory(1)
elseif server.path == "caught" then
	server.write(pcall(server.memory) and "kept" or "denied")
else
	server.write("hello")
end
