import server

if server.path == "caught":
    try:
        server.memory()
        server.write("kept")
    except PermissionError:
        server.write("denied")
else:
    server.memory(1)
