require("server").write("page")
