return { double = function(a) return a * 2 end }
