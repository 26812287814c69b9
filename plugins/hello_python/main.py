# README: a Media Station X plugin as a script: every request runs this file from the top.
#
#   /hello_python/             the list of colours, and how often it was asked for
#   /hello_python/colour/red   one colour; an unknown one is answered with status 404
#   /hello_python/greet        a greeting for the form field or query parameter "name"
#   /hello_python/logo.svg     a file: sent as it is, without running anything

import pages
import server

COLOURS = {"red": "#f44336", "green": "#4caf50", "blue": "#2196f3", "yellow": "#ffeb3b"}


def send(json):
    server.write({"Content-Type": ["application/json; charset=utf-8"]}, json)


def main_page():
    # The memory of the plugin outlives requests and workers, until the server stops.
    visits = (server.memory() or 0) + 1
    server.memory(visits)
    items = [
        {"title": name, "action": f"content:{server.base_url}colour/{name}"} for name in COLOURS
    ]
    send(pages.listed(f"Colours, visit {visits}", items))


def colour_page(name):
    if name not in COLOURS:
        panic(404)
    send(pages.listed(name, [{"title": name, "color": COLOURS[name]}]))


def greeting():
    name = server.read("name")
    if not name:
        server.log("nobody to greet; the request came from", server.remote_addr)
        server.write(302, server.base_url)
        return
    send(pages.listed(f"Hello, {name}!", []))


if server.path == "":
    main_page()
elif server.path.startswith("colour/"):
    colour_page(server.path.removeprefix("colour/"))
elif server.path == "greet":
    greeting()
else:
    panic(404)
