# A search page: fetch a page, find fifty links in it, answer with JSON.
import json
import re

import server

page = server.request(server.read("from"))["body"]
found = re.findall(r'<a class="hit" href="([^"]*)">([^<]*)</a>', page.decode("utf-8"))
hits = [{"url": address, "title": title} for address, title in found]
server.write({"Content-Type": "application/json"}, json.dumps(hits))
