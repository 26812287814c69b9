import server

what, _, name = server.path.partition("/")


def show(value):
    server.write("nothing" if value is None else [value])


if what == "raw":
    server.write(server.read())
elif what == "name":
    show(server.read(name))
elif what == "form":
    show(server.read(name, True))
elif what == "either":
    show(server.read(name, False))
elif what == "file":
    found = server.read(name)
    server.write("nothing" if found is None else found)
elif what == "all":
    show(server.read(False))
elif what == "allform":
    show(server.read(True))
elif what == "twice":
    body = server.read()
    field = server.read("b")
    show(
        [
            "nothing" if field is None else field,
            body.decode(),
            server.read().decode(),
            server.read("b") or "nothing",
        ]
    )
elif what == "changed":
    server.header["Content-Type"] = ["application/x-www-form-urlencoded"]
    show(server.read("a"))
elif what == "number":
    server.read(5)
elif what == "nil":
    server.read(None)
elif what == "three":
    server.read("a", True, 1)
