def add(priority):
    def handler(data):
        data["trace"].append(f"alpha {priority}")
        data["count"] += 1
        data["map"][f"alpha{priority}"] = True
        if "call" in data:
            data["total"] = data["call"](data["count"], 1)

    module.hook("joined", handler, priority)


for priority in [10, 0, -10]:
    add(priority)
