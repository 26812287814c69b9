raise ValueError("lib broke")
