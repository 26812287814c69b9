def start(given):
    own = lambda: "kept"
    inner = ["x"]
    data = {
        "trace": [],
        "count": 1,
        "map": {},
        "dropped": True,
        "own": own,
        "inner": inner,
    }
    if "stop" in given:
        data["stop"] = given["stop"]
    result = module.fire_event("joined", data)
    answer = {
        "trace": data["trace"],
        "count": data["count"],
        "map": data["map"],
        "own": data["own"]() if data.get("own") is own else "lost",
        "same": data["inner"] is inner,
    }
    if "dropped" in data:
        answer["dropped"] = True
    if result is not None:
        answer["result"] = result["count"]
    return answer


module.hook("start", start)
