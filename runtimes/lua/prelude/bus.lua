-- Event buses of one sandbox, one per host and the global one ("*"), joined with the engine's.
--
-- Semantics are Prosody's util.events: one map per event keyed by function, higher priority first
-- (equal ones in the order they were added), the handler list fixed when firing starts, the first
-- result that is not nil stops the chain.  Handlers in other sandboxes are reached through the
-- engine, which is asked once per event who else listens and tells when that changes.

local core = ...

local sort, next, ipairs, type, error = table.sort, next, ipairs, type, error
local tostring = tostring
local remove, insert = table.remove, table.insert

local function by_priority(a, b)
	if a.priority ~= b.priority then return a.priority > b.priority end
	return a.order < b.order
end

-- A stand-alone bus, as util.events.new() makes them.  `changed(event, list)` is told of every
-- change of an event's sorted handler list and wrappers; `check(event, priority)` may refuse.
local function new_bus(changed, check)
	local handlers, sorted, wrappers, order = {}, {}, {}, 0
	local bus = { sorted = sorted }

	local function rebuild(event)
		local list, map = {}, handlers[event]
		for _, entry in next, map do list[#list + 1] = entry end
		sort(list, by_priority)
		if #list == 0 then handlers[event], sorted[event] = nil, nil else sorted[event] = list end
		if changed then changed(event, list) end
	end

	function bus.add_handler(event, handler, priority)
		if check then check(event, priority) end
		local map = handlers[event]
		if not map then map = {}; handlers[event] = map end
		order = order + 1
		map[handler] = { handler = handler, priority = priority or 0, order = order }
		rebuild(event)
	end

	function bus.remove_handler(event, handler)
		local map = handlers[event]
		if not map or not map[handler] then return end
		map[handler] = nil
		rebuild(event)
	end

	function bus.add_handlers(list)
		for event, handler in next, list do bus.add_handler(event, handler) end
	end

	function bus.remove_handlers(list)
		for event, handler in next, list do bus.remove_handler(event, handler) end
	end

	function bus.get_handlers(event)
		local list = {}
		for i, entry in ipairs(sorted[event] or {}) do list[i] = entry.handler end
		return #list > 0 and list or nil
	end

	-- Run the handlers whose priority is within [low, high], in order.
	function bus.run(event, data, high, low)
		local list = sorted[event]
		if not list then return end
		for i = 1, #list do
			local entry = list[i]
			local priority = entry.priority
			if (not high or priority <= high) and (not low or priority >= low) then
				local result = entry.handler(data)
				if result ~= nil then return result end
			end
		end
	end

	-- Wrappers: the last added is outermost, those of one event outside the bus-wide ones (key false).
	local function wrapped(list, index, inner)
		if not list or index == 0 then return inner end
		local nearer = wrapped(list, index - 1, inner)
		local wrapper = list[index]
		return function(event, data) return wrapper(nearer, event, data) end
	end

	local fire = bus.run
	function bus.set_fire(f) fire = f end

	function bus.fire_event(event, data)
		local own, all = wrappers[event], wrappers[false]
		if not own and not all then return fire(event, data) end
		local chain = wrapped(all, all and #all or 0, fire)
		return wrapped(own, own and #own or 0, chain)(event, data)
	end

	function bus.add_wrapper(event, wrapper)
		local list = wrappers[event]
		if not list then list = {}; wrappers[event] = list end
		insert(list, wrapper)
		if changed and event then changed(event, sorted[event] or {}) end
	end

	function bus.remove_wrapper(event, wrapper)
		local list = wrappers[event]
		for i = list and #list or 0, 1, -1 do
			if list[i] == wrapper then remove(list, i) end
		end
		if list and #list == 0 then wrappers[event] = nil end
		if list and changed and event then changed(event, sorted[event] or {}) end
	end

	function bus.has_wrapper(event) return wrappers[event] ~= nil or wrappers[false] ~= nil end

	return bus
end
core.new_bus = new_bus

---------------------------------------------------------------------------------- joined buses

-- What the engine told of other sandboxes: foreign[host][event] = sorted list of priorities, or
-- false when nobody else listens.  Absent: not asked yet.
local foreign = {}

local function segments(own, others)
	-- Runs of priorities, highest first: {mine, high, low}.  At equal priority ours come first.
	local list, i, j = {}, 1, 1
	while own[i] or others[j] do
		local mine = own[i] and (not others[j] or own[i].priority >= others[j])
		local priority = mine and own[i].priority or others[j]
		local last = list[#list]
		if last and last.mine == mine then last.low = priority
		else list[#list + 1] = { mine = mine, high = priority, low = priority } end
		if mine then i = i + 1 else j = j + 1 end
	end
	return list
end

local function joined_fire(host, bus)
	local known = foreign[host]
	return function(event, data)
		local others = known[event]
		if others == nil then
			others = core.host("event.listeners", host, event) or false
			if type(others) == "table" and #others == 0 then others = false end
			known[event] = others
		end
		if not others then return bus.run(event, data) end
		for _, segment in ipairs(segments(bus.sorted[event] or {}, others)) do
			if segment.mine then
				local result = bus.run(event, data, segment.high, segment.low)
				if result ~= nil then return result end
			else
				local sent = core.portable(data)
				local answer = core.host("event.fire", host, event, sent, segment.high, segment.low)
				core.take_changes(data, sent, answer[3])
				if answer[1] then return answer[2] end
			end
		end
	end
end

local buses = {}

-- What the engine would refuse is the author's mistake, and an error where it was made.
local function check(event, priority)
	if type(event) ~= "string" or #event == 0 or #event > 1024 then
		error("an event's name is a text of 1 to 1024 bytes", 0)
	end
	if priority ~= nil and (type(priority) ~= "number" or priority ~= priority or priority - priority ~= 0) then
		error("an event handler's priority is a finite number", 0)
	end
end

-- The bus of `host` ("*" is the global one), or nil when the engine has no such host.
function core.bus(host)
	local bus = buses[host]
	if bus or not core.hosts[host] then return bus end
	bus = new_bus(function(event, list)
		local priorities, last = setmetatable({}, core.list_mt), nil
		for _, entry in ipairs(list) do
			if entry.priority ~= last then
				last = entry.priority
				priorities[#priorities + 1] = last
			end
		end
		core.note("hooks", host, event, priorities, bus.has_wrapper(event))
	end, check)
	foreign[host] = {}
	bus.set_fire(joined_fire(host, bus))
	buses[host] = bus
	return bus
end

function core.listeners_changed(host, event, priorities)
	local known = foreign[host]
	if known and known[event] ~= nil then known[event] = #priorities > 0 and priorities or false end
end

-- A copy of `data` with what cannot cross left out: functions of ours stay with us.
function core.portable(data, depth)
	depth = depth or 1
	if type(data) == "function" then return core.is_host_function(data) and data or nil end
	if type(data) ~= "table" then
		if type(data) == "thread" or type(data) == "userdata" then return nil end
		return data
	end
	if depth > 32 then return nil end
	-- A module crosses as its name, not as the object.
	if core.registries[data] then return { name = data.name, host = data.host } end
	local mt = core.raw_getmetatable(data)
	if mt and (core.is_stanza_mt[mt] or core.is_list_mt[mt]) then return data end
	local copy = {}
	for key, value in next, data do copy[key] = core.portable(value, depth + 1) end
	return copy
end

-- fire.part(host, event, data, high, low): this sandbox's handlers between two priorities, for an
-- event that others listen to as well: {whether there was a result, the result, the data}.
core.ops["fire.part"] = function(host, event, data, high, low)
	local target = core.bus(host)
	if not target then error("no host " .. tostring(host), 0) end
	local result = target.run(event, data, high, low)
	local answer = { result ~= nil, result, core.portable(data) }
	-- A list has no holes: nothing is told apart from false by the first element.
	if result == nil then answer[2] = false end
	return answer
end

-- Handlers in other sandboxes got a copy of `data`, `sent`, and gave back `got`: bring what they
-- changed into the table that our handlers share, leaving alone what could not cross.
function core.take_changes(data, sent, got)
	if type(data) ~= "table" or type(got) ~= "table" or type(sent) ~= "table" then return end
	for key, value in next, got do
		local own = data[key]
		-- Numbers as keys of a map cross as text.
		if own == nil and sent[key] == nil then
			local number = core.tonumber(key)
			if number and data[number] ~= nil then key, own = number, data[number] end
		end
		local kept = own ~= nil and core.registries[own] -- a module is nobody else's to change
		if kept then own = value
		elseif type(value) ~= "table" or type(own) ~= "table" then
			if own ~= value then data[key] = value end
		elseif core.is_stanza_mt[core.raw_getmetatable(own)] then
			for field in next, own do own[field] = nil end
			for field, part in next, value do own[field] = part end
		else core.take_changes(own, sent[key], value) end
	end
	for key in next, sent do
		if got[key] == nil and got[tostring(key)] == nil then data[key] = nil end
	end
end
core.tonumber = tonumber
core.raw_getmetatable = debug.getmetatable
