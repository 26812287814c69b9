module.hook("alive", lambda event: True)


def save():
    raise ValueError("cannot save")
