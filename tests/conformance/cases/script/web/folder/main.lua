require("server").write("folder main ", require("server").path)
