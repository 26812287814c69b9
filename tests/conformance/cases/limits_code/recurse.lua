local function f(n) return 1 + f(n + 1) end
return pcall(f, 1)
