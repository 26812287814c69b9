def add(priority):
    def handler(data):
        data["trace"].append(f"beta {priority}")
        data["count"] *= 10
        data.pop("dropped", None)
        if data.get("stop") == priority:
            return data

    module.hook("joined", handler, priority)


for priority in [5.5, 0, -5]:
    add(priority)
