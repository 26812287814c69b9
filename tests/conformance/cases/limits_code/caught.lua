local all = {}
while true do pcall(function() while true do all[#all + 1] = ("x"):rep(1 << 16) .. #all end end) end
