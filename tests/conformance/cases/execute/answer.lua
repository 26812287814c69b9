x = x or 0
y = x + 2
text = "made"
helper = function() end
print("one", 2)
print("two")
return { sum = y, list = { 1, 2 } }
