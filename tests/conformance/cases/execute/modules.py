import m
import n

m.double(21) + n.seven
