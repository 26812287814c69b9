def f(n):
    return 1 + f(n + 1)


try:
    f(1)
except RecursionError:
    found = False
found
