panic(404)
