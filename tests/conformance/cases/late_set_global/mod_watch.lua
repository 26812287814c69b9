module:hook("item-removed/late", function(data) module:log("info", "removed %s", data.item) end)
