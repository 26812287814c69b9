for _, priority in ipairs { 10, 0, -10 } do
	module:hook("joined", function(data)
		data.trace[#data.trace + 1] = "alpha " .. priority
		data.count = data.count + 1
		data.map["alpha" .. priority] = true
		if data.call then data.total = data.call(data.count, 1) end
	end, priority)
end
