-- util.jid: XMPP addresses, node@host/resource (RFC 7622), without string preparation.

local match, sub, find, gsub = string.match, string.sub, string.find, string.gsub

local jid = {}

local function split(address)
	if address == nil then return nil end
	local node, rest = match(address, "^([^@/]+)@(.*)$")
	if not node then
		rest = address
		-- "@host" has an empty node, which no address may have.
		if sub(address, 1, 1) == "@" then return nil end
	end
	local host, resource = match(rest, "^([^@/]+)/(.+)$")
	if not host then
		host = match(rest, "^([^@/]+)$")
		if not host then return nil end
	end
	return node, host, resource
end
jid.split = split

function jid.join(node, host, resource)
	if not host then return nil end
	return (node and node .. "@" or "") .. host .. (resource and "/" .. resource or "")
end

function jid.bare(address)
	local node, host = split(address)
	return jid.join(node, host)
end

function jid.prepped_split(address)
	local node, host, resource = split(address)
	if not host or host == "." then return nil end
	if sub(host, -1) == "." then host = sub(host, 1, -2) end
	-- Only ASCII is prepared here; other scripts are refused rather than compared wrongly.
	if find((node or "") .. host, "[\128-\255]") then return nil end
	if node and find(node, "[%z\1-\32\127\"&'/:<>@]") then return nil end
	return node and node:lower(), host:lower(), resource
end

function jid.prep(address) return jid.join(jid.prepped_split(address)) end
function jid.node(address) return (split(address)) end
function jid.host(address) return (select(2, split(address))) end
function jid.resource(address) return (select(3, split(address))) end

-- Whether `address` matches the pattern `acl`: each part that `acl` has must be equal.
function jid.compare(address, acl)
	local node, host, resource = split(address)
	local acl_node, acl_host, acl_resource = split(acl)
	return ((acl_node ~= nil and acl_node == node) or acl_node == nil)
		and ((acl_host ~= nil and acl_host == host) or acl_host == nil)
		and ((acl_resource ~= nil and acl_resource == resource) or acl_resource == nil)
end

-- XEP-0106: characters that a node may not hold.
local escapes = { [" "] = "\\20", ['"'] = "\\22", ["&"] = "\\26", ["'"] = "\\27", ["/"] = "\\2f",
	[":"] = "\\3a", ["<"] = "\\3c", [">"] = "\\3e", ["@"] = "\\40", ["\\"] = "\\5c" }
local unescapes = {}
for plain, escaped in pairs(escapes) do unescapes[escaped] = plain end

function jid.escape(text) return text and (gsub(text, '[ "&\'/:<>@]', escapes)) end
function jid.unescape(text) return text and (gsub(text, "\\%x%x", unescapes)) end

return jid
