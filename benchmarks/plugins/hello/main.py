import server

server.write(
    {"Content-Type": "application/json"}, '{"hello":"', server.read("name") or "world", '"}'
)
