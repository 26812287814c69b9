-- The module "hex": Go's encoding/hex.

local T = ...

return { encode = T.byte_function(T.hex_encode), decode = T.text_function(T.hex_decode) }
