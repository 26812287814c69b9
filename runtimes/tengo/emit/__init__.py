"""From a resolved syntax tree to Lua text and the place in the source of each of its lines."""
