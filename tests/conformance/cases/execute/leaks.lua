leaked = (leaked or 0) + 1
string.leaked = (string.leaked or 0) + 1
return leaked + string.leaked
