try:
    leaked += 1
except NameError:
    leaked = 2
leaked
