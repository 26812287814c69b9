[b + b"\xfe", t == "\u2603", len(t.encode())]
