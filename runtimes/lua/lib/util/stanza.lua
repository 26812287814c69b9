-- util.stanza: XML elements of XMPP (RFC 6120) as objects.

local stanza_mt = { __name = "stanza" }
local methods = {}
stanza_mt.__index = methods

local st = { stanza_mt = stanza_mt, xmlns_stanzas = "urn:ietf:params:xml:ns:xmpp-stanzas" }

local function is_stanza(value) return getmetatable(value) == stanza_mt end
st.is_stanza = is_stanza

local function new(name, attr)
	if type(name) ~= "string" then error("invalid element name: expected a string, not a " .. type(name), 2) end
	return setmetatable({ name = name, attr = attr or {}, tags = {} }, stanza_mt)
end
st.stanza = new

local function add(parent, child)
	parent[#parent + 1] = child
	if is_stanza(child) then parent.tags[#parent.tags + 1] = child end
end

function methods:tag(name, attr)
	local child = new(name, attr)
	local open = self.last_add or {}
	self.last_add = open
	add(open[#open] or self, child)
	open[#open + 1] = child
	return self
end

function methods:text(text)
	if text ~= nil and text ~= "" then
		local open = self.last_add
		add(open and open[#open] or self, tostring(text))
	end
	return self
end

function methods:up()
	if self.last_add then table.remove(self.last_add) end
	return self
end

function methods:reset() self.last_add = nil; return self end

function methods:text_tag(name, text, attr) return self:tag(name, attr):text(text):up() end

function methods:add_direct_child(child) add(self, child); return self end

function methods:add_child(child)
	local open = self.last_add
	add(open and open[#open] or self, child)
	return self
end

function methods:query(xmlns) return self:tag("query", { xmlns = xmlns }) end
function methods:body(text, attr) return self:text_tag("body", text, attr) end

function methods:get_child(name, xmlns)
	for _, child in ipairs(self.tags) do
		if (not name or child.name == name)
			and ((not xmlns and self.attr.xmlns == child.attr.xmlns) or child.attr.xmlns == xmlns) then
			return child
		end
	end
end

function methods:get_text()
	local parts = {}
	for _, child in ipairs(self) do if type(child) == "string" then parts[#parts + 1] = child end end
	return table.concat(parts)
end

function methods:get_child_text(name, xmlns)
	local child = self:get_child(name, xmlns)
	return child and child:get_text() or nil
end

function methods:get_child_attr(name, xmlns, attr)
	local child = self:get_child(name, xmlns)
	return child and child.attr[attr]
end

function methods:child_with_name(name)
	for _, child in ipairs(self.tags) do if child.name == name then return child end end
end

function methods:child_with_ns(xmlns)
	for _, child in ipairs(self.tags) do if child.attr.xmlns == xmlns then return child end end
end

function methods:children()
	local i = 0
	return function(list) i = i + 1; return list[i] end, self, i
end

function methods:childtags(name, xmlns)
	local i, tags = 0, self.tags
	return function()
		while true do
			i = i + 1
			local child = tags[i]
			if not child then return nil end
			if (not name or child.name == name)
				and ((not xmlns and self.attr.xmlns == child.attr.xmlns) or child.attr.xmlns == xmlns) then
				return child
			end
		end
	end
end

function methods:maptags(callback)
	local kept_tags, kept = {}, {}
	for _, child in ipairs(self) do
		local replacement = child
		if is_stanza(child) then replacement = callback(child) end
		if replacement ~= nil then
			kept[#kept + 1] = replacement
			if is_stanza(replacement) then kept_tags[#kept_tags + 1] = replacement end
		end
	end
	for i = 1, math.max(#self, #kept) do self[i] = kept[i] end
	self.tags = kept_tags
	return self
end

function methods:remove_children(name, xmlns)
	xmlns = xmlns or self.attr.xmlns
	return self:maptags(function(tag)
		if (not name or tag.name == name) and tag.attr.xmlns == xmlns then return nil end
		return tag
	end)
end

function methods:get_error()
	local kind, condition, text = self.attr.type, nil, nil
	local problem = self:get_child("error")
	if not problem then return nil, nil, nil, nil end
	kind = problem.attr.type
	for _, child in ipairs(problem.tags) do
		if child.attr.xmlns == st.xmlns_stanzas then
			if child.name == "text" then text = child:get_text() else condition = condition or child.name end
		end
	end
	return kind, condition or "undefined-condition", text
end

local escapes = { ["<"] = "&lt;", [">"] = "&gt;", ["&"] = "&amp;", ["'"] = "&apos;", ['"'] = "&quot;" }
function st.xml_escape(text) return (text:gsub("['&<>\"]", escapes)) end

function methods:top_tag()
	local parts = { "<", self.name }
	for name, value in pairs(self.attr) do
		parts[#parts + 1] = " " .. name .. "='" .. st.xml_escape(tostring(value)) .. "'"
	end
	return table.concat(parts) .. ">"
end

function stanza_mt.__tostring(self)
	local open = self:top_tag()
	if #self == 0 then return open:sub(1, -2) .. "/>" end
	local parts = { open }
	for _, child in ipairs(self) do
		parts[#parts + 1] = is_stanza(child) and tostring(child) or st.xml_escape(child)
	end
	parts[#parts + 1] = "</" .. self.name .. ">"
	return table.concat(parts)
end

function st.clone(original, only_top)
	local attr = {}
	for name, value in pairs(original.attr) do attr[name] = value end
	local copy = new(original.name, attr)
	if not only_top then
		for _, child in ipairs(original) do add(copy, is_stanza(child) and st.clone(child) or child) end
	end
	return copy
end

function st.message(attr, body)
	local message = new("message", attr)
	return body and message:text_tag("body", body):reset() or message
end
function st.presence(attr) return new("presence", attr) end
function st.iq(attr)
	if not (attr and attr.id and attr.type) then error("iq stanzas require the attributes id and type", 2) end
	return new("iq", attr)
end

function st.reply(original)
	local attr = original.attr
	return new(original.name, { to = attr.from, from = attr.to, id = attr.id,
		type = original.name == "iq" and "result" or attr.type })
end

function st.error_reply(original, kind, condition, text, by)
	if type(kind) == "table" then kind, condition, text = kind.type, kind.condition, kind.text end
	local reply = st.reply(original)
	reply.attr.type = "error"
	reply:tag("error", { type = kind or "cancel", by = by })
		:tag(condition or "undefined-condition", { xmlns = st.xmlns_stanzas }):up()
	if text then reply:text_tag("text", text, { xmlns = st.xmlns_stanzas }) end
	return reply:up()
end

-- How the runtime makes a stanza of what crossed from the engine: name, attributes, and children
-- that are texts or such triples themselves.
function st.received(name, attr, children)
	local stanza = new(name, attr)
	for _, child in ipairs(children) do
		add(stanza, type(child) == "table" and st.received(child[1], child[2], child[3]) or child)
	end
	return stanza
end

return st
