import server

server.write("page")
