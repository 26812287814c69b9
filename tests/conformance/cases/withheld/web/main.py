import server

if server.path == "http":
    server.request("http://example.org/")
elif server.path == "memory":
    server.memory(1)
elif server.path == "caught":
    try:
        server.memory()
        server.write("kept")
    except PermissionError:
        server.write("denied")
else:
    server.write("hello")
