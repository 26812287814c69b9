-- README: a shared module.  It greets whoever the event "greet" names, on every host it is loaded
-- on, and offers the greeting to others as an item.  The option greeter_words holds the greetings
-- to choose from, greeter_bow = true adds a bow, and greeter_interval (seconds) says how often it
-- tells the log how busy it was.
--
--   engine.load("example.org", "greeter")
--   engine.fire("example.org", "greet", {"name": "Ada"})      -->  "Hello, Ada! (1)"

module:set_global();

-- Greetings given since the module was first loaded, on all hosts; a reload keeps the count.
local count = 0;

function module.add_host(module)
	local words = module:get_option_array("greeter_words", { "Hello" });
	local bow = module:get_option_boolean("greeter_bow", false);
	local interval = module:get_option_number("greeter_interval", 3600);

	local function greeting(name)
		count = count + 1;
		local word = words[(count - 1) % #words + 1];
		return ("%s, %s!%s (%d)"):format(word, name, bow and " *bows*" or "", count);
	end

	module:hook("greet", function(event)
		if type(event.name) ~= "string" or event.name == "" then
			return nil; -- not for us: the next handler may know what to do
		end
		return greeting(event.name);
	end);

	-- A handler with a higher priority runs first; the first result that is not nil is the answer.
	module:hook("greet", function(event)
		if event.name == "nobody" then return "There is nobody to greet."; end
	end, 10);

	module:add_item("greeting", {
		title = "Greet somebody";
		words = { words[1], words[2] };
		handler = greeting; -- whoever reads the item can call this
	});

	module:add_timer(interval, function()
		module:log("info", "%d greetings so far", count);
		return interval; -- again
	end);
end

function module.save() return { count = count }; end
function module.restore(saved) count = saved.count or 0; end
