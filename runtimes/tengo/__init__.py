"""The Tengo runtime: compiles Tengo v2.10 to Lua 5.4 and runs it in the Lua machine."""
