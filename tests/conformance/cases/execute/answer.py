y = x + 2
text = "made"
helper = lambda: None
print("one\t2")
print("two")
{"sum": y, "list": [1, 2]}
