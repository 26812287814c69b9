while True:
    try:
        print("x" * 1000)
    except Exception:
        pass
