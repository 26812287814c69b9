"""The wire between an engine and a worker, sans I/O: bytes in, frames out.

`framing` cuts a stream into bodies, `codec` turns bodies into values, `survey` counts what is in
long ones, `frames` is the table of frame kinds, `state` the table of connection states, and
`connection` joins them for one side.
"""
