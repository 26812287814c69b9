def inner():
    raise ValueError("went wrong")


print("before")
kept = 5
inner()
