found = 0
try:
    open
    found += 1
except NameError:
    pass
try:
    eval
    found += 1
except NameError:
    pass
try:
    import os

    ok = True
    text = ""
except ImportError as error:
    ok = False
    text = str(error)
[found, ok, "excluded" in text]
