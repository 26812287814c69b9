found = []
while True:
    try:
        while True:
            found.append(("x" * (1 << 16)) + str(len(found)))
    except MemoryError:
        pass
