module:set_global()
function module.add_host() return false end
