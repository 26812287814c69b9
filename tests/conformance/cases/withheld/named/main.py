import server

server.memory("kept")
server.write(server.memory())
