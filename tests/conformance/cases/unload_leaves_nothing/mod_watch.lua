module:hook("item-removed/thing", function(data) module:log("info", "removed %s", data.item) end)
