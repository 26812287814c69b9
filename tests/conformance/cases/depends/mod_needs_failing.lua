module:depends("failing")
