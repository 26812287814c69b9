local found = 0
for _, name in ipairs { "os", "io", "package", "debug", "dofile", "loadfile", "python" } do
	if _G[name] ~= nil then found = found + 1 end
end
local ok, problem = pcall(require, "io")
return { found, ok, tostring(problem):find("excluded", 1, true) ~= nil }
