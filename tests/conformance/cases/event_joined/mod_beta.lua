for _, priority in ipairs { 5.5, 0, -5 } do
	module:hook("joined", function(data)
		data.trace[#data.trace + 1] = "beta " .. priority
		data.count = data.count * 10
		data.dropped = nil
		if data.stop == priority then return data end
	end, priority)
end
