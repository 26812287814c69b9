module.hook("wrapped", lambda data: data["steps"].append("far"), 5)
