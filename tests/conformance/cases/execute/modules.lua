local m = require "m"
return m.double(21) + require("n").seven
