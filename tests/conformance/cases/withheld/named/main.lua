local server = require "server"
server.memory("kept")
server.write(server.memory())
