"""`/install`: a form with a package in `file`, or with a plugin's name in `remove`; operators only.

What a package may hold and when it is refused is `sandbox.packages`'s.  The answer is ServeMSX's,
`true`, which has no room for more: that a new plugin asks for what it was not granted, and is not
run until it is, stands in the log and on the web page.
"""

from __future__ import annotations

import posixpath
from collections.abc import AsyncGenerator
from typing import Final

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from sandbox.errors import ConfigurationError, PackageRejected
from sandbox.packages.caps import Caps
from sandbox.servers.house import House
from sandbox.servers.replies import Refused, words

MAX_BODY: Final = Caps().package + 64 * 1024
"""Longest form in bytes: the longest package, and what is around it."""

_FORMS: Final = ("multipart/form-data", "application/x-www-form-urlencoded")
_DONE: Final = "true"


class _Capped(Request):
    """A request whose body fails once it is longer than `MAX_BODY`, whatever it claims."""

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """See Starlette."""
        size = 0
        async for part in super().stream():
            size += len(part)
            if size > MAX_BODY:
                raise Refused(413, f"the body is longer than {MAX_BODY} bytes")
            yield part


async def install(house: House, request: Request) -> Response:
    """Install or remove a package.  Raises `Refused` with the rule that was broken."""
    if request.method != "POST":
        raise Refused(404)
    if not house.is_operator(request.scope):
        raise Refused(403, "only an operator may install plugins")
    try:
        return await _obeyed(house, request)
    except PackageRejected as error:  # the house has said so in the log
        raise Refused(400, error.message) from None
    except ConfigurationError:
        # Its text names a folder of this machine; it is in the log.
        raise Refused(500, "the plugin folder cannot be changed") from None


async def _obeyed(house: House, request: Request) -> Response:
    if house.root is None:
        raise Refused(409, "this server has no folder for plugins; start it with --dir")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _FORMS:
        raise Refused(400, "this is no form; send multipart/form-data with the field 'file'")
    try:
        form = await _Capped(request.scope, request.receive).form(
            max_files=1, max_fields=4, max_part_size=4096
        )
    except HTTPException as error:  # Starlette's, for a form that cannot be read
        raise Refused(400, error.detail) from None
    try:
        return await _done(house, form)
    finally:
        await form.close()


async def _done(house: House, form: FormData) -> Response:
    file, name = form.get("file"), form.get("remove")
    if isinstance(file, UploadFile) and file.filename:
        # Of a name with folders the last part counts (RFC 7578 section 4.2).
        await house.install(posixpath.basename(file.filename), await file.read())
    elif isinstance(name, str) and name:
        # To remove what is not there is done at once; what no package brought is not removed.
        if not house.absent(name):
            await house.uninstall(name)
    else:
        raise Refused(400, "the form has neither 'file' nor 'remove'")
    return words(_DONE)
