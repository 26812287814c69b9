count = 0


def good(data):
    global count
    count += 1
    return "good"


module.hook("good", good)
module.hook("never restarted", lambda data: count > 0)
