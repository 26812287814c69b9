left = 3
ticker = None
mover = None


def start(data):
    def tick(now, a, b):
        global left
        module.log("info", "tick %d %s%s", now, a, b)
        left -= 1
        if left > 0:
            return 2

    def once(now):
        module.log("info", "once")
        return True

    module.add_timer(1, tick, "A", "B")
    module.add_timer(0.5, once)


def stop(data):
    def run(now):
        module.log("info", "stopped timer ran")
        return 1

    timer = module.add_timer(1, run)
    timer.stop()
    timer.stop()


def move(data):
    global mover
    mover = module.add_timer(1, lambda now: module.log("info", "moved"))


def fail(data):
    def broken(now):
        raise ValueError("timer broke")

    module.add_timer(1, broken)
    module.add_timer(2, lambda now: module.log("info", "after the failed one"))


def self_stop(data):
    def run(now):
        module.log("info", "last")
        ticker.stop()
        return 1

    global ticker
    ticker = module.add_timer(1, run)


def zero(data):
    n = 0

    def run(now):
        nonlocal n
        n += 1
        module.log("info", "zero %d", n)
        return 0 if n < 3 else None

    module.add_timer(0, run)


def bad(data):
    try:
        module.add_timer(float("nan"), lambda now: None)
    except RuntimeError:
        return False
    return True


module.hook("start", start)
module.hook("stop", stop)
module.hook("move", move)
module.hook("later", lambda data: mover.reschedule(5))
module.hook("fail", fail)
module.hook("self stop", self_stop)
module.hook("zero", zero)
module.hook("bad", bad)
