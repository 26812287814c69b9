import server

server.write("folder main ", server.path)
