import server

what = server.read("what")


def nothing():
    yield 1
    panic(418)


if what == "status":
    try:
        panic(404)
    except Exception:
        server.write("except swallowed the panic")
elif what == "text":
    panic("out of order")
elif what == "true":
    panic(True)
elif what == "nil":
    panic(None)
    server.write("went on")
elif what == "float":
    panic(404.5)
elif what == "range":
    panic(99)
elif what == "list":
    panic([1, "a"])
elif what == "after":
    server.write({"X-Set": "1"}, "body")
    panic(403)
elif what == "nested":
    try:
        panic(410)
    finally:
        server.write("finally")
    server.write("swallowed")
elif what == "coroutine":
    try:
        list(nothing())
    except Exception:
        server.write("swallowed")
elif what == "none":
    panic()
