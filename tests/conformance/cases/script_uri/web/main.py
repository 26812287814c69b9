import server

what = server.path
q = server.read


def said(function, *arguments):
    try:
        return function(*arguments)
    except ValueError as error:
        return f"error: {error}"


if what == "encode":
    server.write(server.encode_uri(q("a")))
elif what == "encode_path":
    server.write(server.encode_uri(q("a"), True))
elif what == "encode_map":
    fields = {"b": "x y", "a": ["1", "2&"], "c": True, "d": [5]}
    server.write(server.encode_uri(fields), " ", server.encode_uri({}))
elif what == "encode_number":
    server.encode_uri(5)
elif what == "encode_nothing":
    server.encode_uri()
elif what == "decode":
    server.write(said(server.decode_uri, q("a")))
elif what == "decode_path":
    server.write(said(server.decode_uri, q("a"), True))
elif what == "decode_number":
    server.decode_uri(5)
elif what == "parse":
    server.write([said(server.parse_url, q("a"))])
elif what == "own":
    server.write([server.parse_url()])
elif what == "parse_two":
    server.parse_url("a", "b")
elif what == "parse_number":
    server.parse_url(5)
elif what == "resolve":
    server.write(said(server.resolve_url, q("a"), q("b")))
elif what == "resolve_one":
    server.write(said(server.resolve_url, q("a")))
elif what == "resolve_number":
    server.resolve_url(5)
