import server

path = server.path
if path == "headers":
    server.write({"X-One": "1", "X-Many": ["a", "b"]}, 201, "made")
elif path == "redirect":
    server.write(302, "/elsewhere")
elif path == "request":
    server.write(
        server.method,
        " ",
        path,
        " ",
        server.plugin,
        " ",
        server.script,
        " ",
        server.host,
        " ",
        server.remote_addr,
        " ",
        server.header["X-Given"][0],
        " ",
        server.uri,
        " ",
        server.base_url,
    )
elif path == "read":
    fields = server.read(False)
    none = server.read("none")
    only = server.read("q", True)
    server.write(
        server.read("q"),
        "|",
        server.read("f"),
        "|",
        "nil" if none is None else none,
        "|",
        fields["f"][0],
        "|",
        fields["f"][1],
        "|",
        "nil" if only is None else only,
    )
elif path == "body":
    server.write(server.read())
elif path == "parts":
    server.write("a", None, 404, True, False, 1.5)
elif path == "once":
    try:
        visited += 1
    except NameError:
        visited = 1
    server.write(str(visited), " 1")
elif path == "memory":
    kept = server.memory() or {"count": 0}
    kept["count"] += 1
    server.memory(kept)
    server.write(str(kept["count"]))
elif path == "import":
    import lib.greet as greet
    import lib.greet as again

    server.write(greet.greet("Ada"), " ", "same" if greet is again else "other")
elif path == "import missing":
    import lib.absent
elif path == "import outside":
    import other.main
elif path == "log":
    server.log("one", 2)
    server.log_err("bad")
    server.write("logged")
elif path == "fails":
    server.write("lost")
    raise ValueError("broken script")
elif path == "empty":
    pass
elif path == "status":
    server.write(204)
elif path == "bad status":
    server.write(9, "x")
elif path == "uri":
    server.write(
        server.encode_uri("a b&c/d"),
        " ",
        server.encode_uri("a b&c/d", True),
        " ",
        server.decode_uri("a+b%26", False),
        " ",
        server.encode_uri({"k": ["1", "x y"], "a": ["z"]}),
    )
else:
    server.write("main ", path)
