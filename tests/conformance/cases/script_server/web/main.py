import server

settings, what = server.settings, server.path


def show(value):
    server.write("nothing" if value is None else [value])


if what == "plain":
    show([settings.compressed, settings.get("language", "nothing")])
elif what == "dic":
    show(settings.dic())
elif what == "torr":
    show(settings["torr"]())
elif what == "torr1":
    show(settings.torr("magnet:?x=1&y"))
elif what == "torr2":
    show(settings.torr("a", "T t"))
elif what == "torr3":
    show(settings.torr("a", "", "img/я"))
elif what == "torr4":
    settings.torr(1, 2, 3, 4)
elif what == "player":
    show(settings.player())
elif what == "links":
    links = ["http://x/y.mp4", "video:http://x/y.mp4", "audio:http://x/y.mp3", "abc"]
    show([settings.player(link) for link in links])
elif what == "film":
    show(settings.player(False))
elif what == "live":
    show(settings.player(True, True))
elif what == "player_number":
    settings.player(5)
elif what == "ffmpeg":
    show(settings.ffmpeg())
elif what == "ffmpeg_empty":
    settings.ffmpeg("")
elif what == "ffmpeg_number":
    settings.ffmpeg("src", 5)
elif what == "ffmpeg_run":
    try:
        show(settings.ffmpeg("src", ["-a"], ["-b"]))
    except RuntimeError as error:
        show(str(error))
elif what == "props":
    names = (
        "proto method host remote_addr header uri version script plugin path base_url settings "
        "read write request encode_uri decode_uri parse_url resolve_url memory file log_err "
        "log_inf"
    )
    missing = [name for name in names.split() if getattr(server, name, None) is None]
    parts = server.version.split(".")
    good = [len(part) for part in parts] == [1, 2, 3] and "".join(parts).isdigit()
    server.write(
        "missing:", "".join(missing), " ", server.proto, " ", "M.VV.PPP" if good else parts
    )
elif what == "headers":
    server.header["Foo"] = ["x"]
    show([server.header["X-Test"], server.header.get("x-test", "nothing"), server.header["Foo"]])
elif what == "host":
    show([server.host, server.header.get("Host", "nothing")])
elif what == "log":
    server.log_inf("info", 1, [2], {"a": 1}, None, b"b", True)
    server.log_err("a\nb\x1b[31m")
    server.log_inf()
elif what == "memory":
    show(server.memory())
    server.memory({"a": [1, 2]})
    show(server.memory())
    server.memory()["b"] = "lost"
    show(server.memory())
    server.memory(None)
    show(server.memory())
elif what == "memory_two":
    server.memory(1, 2)
elif what == "file_empty":
    server.file("")
elif what == "file_none":
    server.file()
elif what == "file_three":
    server.file("a", 1, 2)
elif what == "file_number":
    server.file(5)
elif what == "file_missing":
    show(server.file("nope.txt"))
elif what == "file_read":
    show(server.file("kept.txt").decode())
elif what == "request_none":
    server.request()
elif what == "request_three":
    server.request("http://h/", "GET", 1)
elif what == "request_number":
    server.request("http://h/", 5)
