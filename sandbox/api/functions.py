"""Every host function, in reading order.  The only list there is.

Names are `subject.verb`.  What is local to a sandbox (events and items among its own modules,
reading the request, writing the answer) never comes here: the runtimes do it themselves.
"""

from __future__ import annotations

from typing import Final

from sandbox.api.spec import HostFunction
from sandbox.api.spec import Parameter as P

_HOST: Final = P("host", "text", 'the virtual host, or "*" for the global one')

FUNCTIONS: Final = (
    HostFunction(
        "option.get",
        (_HOST, P("name", "text", "the option's name")),
        "any",
        "The host's option, else the global one, else nothing.",
        seen_as=("get_option",),
    ),
    HostFunction(
        "option.own",
        (_HOST, P("name", "text", "the option's name")),
        "any",
        "The option as set for this host alone, without the global value.",
        seen_as=("get_option_inherited_set",),
    ),
    HostFunction(
        "event.listeners",
        (_HOST, P("event", "text", "the event's name")),
        "list",
        "The priorities at which modules of other sandboxes listen to the event, highest first. "
        "From then on the engine sends a note when they change.",
    ),
    HostFunction(
        "event.fire",
        (
            _HOST,
            P("event", "text", "the event's name"),
            P("data", "any", "the event's data; functions in it do not cross"),
            P("high", "number", "the highest priority to run"),
            P("low", "number", "the lowest priority to run"),
        ),
        "list",
        "Run the handlers of other sandboxes between two priorities, up to the first result that "
        "is not nothing: whether there was one, the result, and the data as they left it.",
        seen_as=("fire_event",),
    ),
    HostFunction(
        "items.elsewhere",
        (_HOST, P("key", "text", "the items' key")),
        "list",
        "The items that modules of other sandboxes on this host added under the key.",
        seen_as=("get_host_items",),
    ),
    HostFunction(
        "module.depends",
        (_HOST, P("module", "text", "who asks"), P("name", "text", "the module it needs")),
        "map",
        "Load the module if it is not loaded, and tell where it runs: `here` in the same sandbox "
        "or not, and on which `host`.",
        seen_as=("depends",),
    ),
    HostFunction(
        "module.library",
        (P("module", "text", "who asks"), P("name", "text", "the library's name")),
        "list",
        "A library file of the plugin's own folder: its source and file name; or nothing, nothing "
        "and the reason.",
        seen_as=("require",),
    ),
    HostFunction(
        "environment.get",
        (_HOST, P("module", "text", "the module"), P("path", "text", "a global of it")),
        "list",
        "A global of a module that runs in another sandbox: its kind (`value`, `function`, "
        "`module` or `nil`), and the value when it is plain data.",
    ),
    HostFunction(
        "environment.call",
        (
            _HOST,
            P("module", "text", "the module"),
            P("path", "text", "a global function of it"),
            P("arguments", "list", "plain data"),
        ),
        "any",
        "Call a global function of a module that runs in another sandbox.",
    ),
    HostFunction(
        "handle.call",
        (P("handle", "integer", "a function's handle"), P("arguments", "list", "plain data")),
        "any",
        "Call a function of the embedding server that came to the plugin inside data.",
    ),
    HostFunction(
        "timer.add",
        (
            P("timer", "integer", "the plugin's number for the timer"),
            P("delay", "number", "seconds from now"),
            P("module", "text", "who asks"),
        ),
        "any",
        "Have the plugin called back after a delay, or move a timer that is set.",
        capability="timer",
        seen_as=("add_timer", "add_task"),
    ),
    HostFunction(
        "timer.cancel",
        (P("timer", "integer", "the plugin's number for the timer"),),
        "any",
        "Forget a timer.",
        capability="timer",
    ),
    HostFunction(
        "memory.get",
        (P("plugin", "text", "who asks"),),
        "any",
        "The value that the plugin keeps between requests, or nothing.",
        capability="memory",
        seen_as=("memory",),
    ),
    HostFunction(
        "memory.set",
        (P("plugin", "text", "who asks"), P("value", "any", "plain data")),
        "any",
        "Keep a value between requests until the server stops; an operator may have it kept for "
        "longer.",
        capability="memory",
    ),
    HostFunction(
        "http.request",
        (
            P("url", "text", "an absolute http or https address"),
            P(
                "options",
                "map",
                "`method`, `body`, `query`, `header`, `cookies`, `user`, `pass`, "
                "`follow`, `timeout` in seconds; all may be absent",
            ),
        ),
        "map",
        "Make an HTTP request, as far as the grants of `http` go: `status`, `header`, `cookies`, "
        "`body` (at most 8 MiB), `size`, `url`, `user`, `pass` of the answer.",
        capability="http",
        seen_as=("request",),
    ),
    HostFunction(
        "file.read",
        (P("name", "text", "a path relative to the plugin's folder"),),
        "any",
        "A file's bytes, at most 8 MiB, one that the plugin wrote or else one that it was "
        "installed with; or nothing.",
        capability="file",
        seen_as=("file",),
    ),
    HostFunction(
        "file.write",
        (P("name", "text", "a path relative to the plugin's folder"), P("data", "any", "bytes")),
        "any",
        "Make or replace a file of the plugin's data folder. It crosses in one piece: about 1 MiB "
        "at most, or the limit `output` where that is more, up to 8 MiB.",
        capability="file",
    ),
    HostFunction(
        "file.remove",
        (P("name", "text", "a path relative to the plugin's folder"),),
        "any",
        "Remove a file that the plugin wrote; one that it was installed with stays.",
        capability="file",
    ),
    HostFunction(
        "plugin.file",
        (P("plugin", "text", "who asks"), P("name", "text", "a module of the plugin's folder")),
        "list",
        "A source file of the plugin's own folder, for `require` and `import`: its file name and "
        "source; nothing when there is none.",
    ),
)

BY_NAME: Final = {function.name: function for function in FUNCTIONS}
