try:
    module.add_timer(1, lambda now: None)
    module.log("info", "caught 1")
except PermissionError as error:
    module.log(
        "info", "caught 0 %s", "capability 'timer'" if "capability 'timer'" in str(error) else error
    )


def caught(data):
    try:
        module.add_timer(1, lambda now: None)
    except PermissionError:
        return False
    return True


module.hook("timer", lambda data: module.add_timer(1, lambda now: None) and None)
module.hook("caught", caught)
module.hook("alive", lambda data: True)
