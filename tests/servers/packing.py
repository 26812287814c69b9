"""Packages for tests: what a folder would hold, as a `.tgz`."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from typing import Any


def package(files: Mapping[str, str], **manifest: Any) -> bytes:
    """A package of these files, with a manifest of these properties."""
    whole = {"manifest.json": json.dumps(manifest), **files}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, text in whole.items():
            content = text.encode()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()
