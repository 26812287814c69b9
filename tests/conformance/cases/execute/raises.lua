local function inner()
	error("went wrong")
end

print("before")
kept = 5
inner()
