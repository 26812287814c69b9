-- The module "base64": Go's four encodings of encoding/base64.

local T = ...

local module = {}
for name, kind in next, {
	[""] = { false, true }, raw_ = { false, false }, url_ = { true, true }, raw_url_ = { true, false },
} do
	local encode, decode = T.base64(kind[1], kind[2])
	module[name .. "encode"] = T.byte_function(encode)
	module[name .. "decode"] = T.text_function(decode)
end
return module
