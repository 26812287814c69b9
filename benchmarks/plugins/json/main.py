# Twenty maps as JSON.
import json

import server

items = [
    {
        "title": f"Item {i}",
        "playerLabel": f"Item {i}",
        "image": f"{server.base_url}{i}.png",
        "action": f"video:{server.base_url}play/{i}",
        "length": i * 60,
    }
    for i in range(1, 21)
]
server.write({"Content-Type": "application/json"}, json.dumps({"type": "list", "items": items}))
