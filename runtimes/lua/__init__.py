"""Lua 5.4, on lupa: the prelude in Lua, and the thin Python side that resumes it."""
