"""The package probes: every archive has to be refused, each for what is wrong with it.

The probes were written for a manifest called `plugin.json`, so any of ours would refuse them for
having no `manifest.json`.  That would prove nothing: each is tried as it is, and in our own
words, where the rule that stops it must be the one it was made for (`RULES`).
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from unittest import mock

from sandbox import PackageRejected
from sandbox.packages import store
from sandbox.packages.archive import parse_package, read_package
from sandbox.packages.install import RECORD, install, uninstall
from tests.hostile.corpus import Probe

VERSION: Final = "0.05.204"
NAME: Final = "probe.203.zip"

RULES: Final = {
    "zip_path_traversal": "dot segments",
    "zip_absolute_path": "absolute path",
    "zip_backslash_traversal": r"the character \\",
    "zip_drive_letter": "the character [:\\\\]",
    "zip_dot_segments": "dot segments",
    "zip_symlink_file": "symbolic link",
    "zip_symlink_dir_then_write": "symbolic link",
    "zip_symlink_entry_main": "symbolic link",
    "tar_hardlink": "hard link",
    "tar_symlink_absolute": "symbolic link",
    "tar_symlink_relative_escape": "symbolic link",
    "tar_char_device": "character device",
    "tar_block_device": "block device",
    "tar_fifo": "named pipe",
    "tar_setuid": "setuid",
    "zip_setuid_world_writable": "setuid",
    "tar_absolute_and_pax_override": "extended header sets 'path'",
    "tar_pax_size_override": "extended header sets 'size'",
    "zip_duplicate_names": "'main.lua': is there twice",
    "zip_duplicate_manifest": "'plugin.json': is there twice",
    "zip_case_collision": "would be the same",
    "zip_unicode_collision": "normal form C|would be the same",
    "zip_bomb_ratio": "longer than|inflates to more than",
    "zip_bomb_nested": "archive in the archive",
    "zip_bomb_overlap": "overlaps|inflates to more than",
    "zip_declared_size_lies": "inflates to other than",
    "zip_many_entries": "more than 2000 entries",
    "zip_overlong_name": "the name is longer than",
    "zip_deep_directories": "the name is longer than|folders deep",
    "zip_nul_in_name": r"invisible character U\+0000",
    "zip_control_and_bidi_names": "invisible character",
    "zip_reserved_names": "device on some systems",
    "zip_file_dir_conflict": "below a file",
    "zip_local_central_mismatch": "disagree",
    "zip_two_eocd": "two archives",
    "zip_prepended_data": "data in front",
    "zip_comment_trailing_garbage": "does not end with its end record",
    "zip_encrypted_flag": "is encrypted",
    "zip_method_lzma_bzip2": "neither stored nor deflated",
    "zip_truncated": "does not end with its end record",
    "zip_bad_crc": "checksum is wrong",
    "zip_zip64_sizes": "zip64",
    "bytecode_as_lua_source": "bytecode",
    "pyc_payload": "compiled code",
    "native_library_payload": "compiled code",
    "manifest_entry_traversal": "leaves the package",
    "manifest_entry_absolute": "outside the package",
    "manifest_entry_url": "neither http nor https",
    "manifest_id_traversal": "is called PLUGIN",
    "manifest_id_empty_long_bidi": "plugin name",
    "manifest_id_reserved": "reserved",
    "manifest_permissions_wrong_types": "capabilities must be a list of texts|too big",
    "manifest_permissions_string": "capabilities must be a list",
    "manifest_duplicate_keys": "is there twice",
    "manifest_nan_inf": "not a number of JSON",
    "manifest_limits_huge": "more than the operator allows|more than 16 digits|15MiB, the most",
    "manifest_deep_json": "nests more than",
    "manifest_bad_utf8_bom": "byte order mark",
    "manifest_huge": "longer than 65536 bytes",
    "manifest_unknown_fields_proto": "is not known",
}
"""Probe -> the words of the refusal (a regular expression)."""

_MANIFEST: Final[dict[str, Any]] = {"Label": "Probe"}


def manifest_of(**properties: object) -> bytes:
    """A manifest in our words."""
    return json.dumps({**_MANIFEST, **properties}).encode()


OURS: Final[dict[str, list[bytes]]] = {
    "manifest_entry_traversal": [
        manifest_of(URL="{BASE_URL}../../../../tmp/canary"),
        manifest_of(Image="{BASE_URL}a/%2e%2e/%252e%252e/canary"),
        manifest_of(Image="..\\canary"),
    ],
    "manifest_entry_absolute": [manifest_of(URL="/etc/passwd"), manifest_of(Image="//host/x")],
    "manifest_entry_url": [
        manifest_of(URL="file:///etc/passwd"),
        manifest_of(Image="javascript:alert(1)"),
    ],
    "manifest_permissions_wrong_types": [
        manifest_of(Capabilities=[True, {"*": 1}, ["file"], None, "http:*", "*"]),
        manifest_of(Capabilities=[1]),
        b'{"Capabilities": ["timer", 1e400]}',
    ],
    "manifest_permissions_string": [manifest_of(Capabilities="timer")],
    "manifest_duplicate_keys": [
        b'{"Capabilities": [], "Capabilities": ["file"]}',
        b'{"Capabilities": [], "capabilities": ["file"]}',
        b'{"Limits": {"cpu": 1, "cpu": 2}}',
    ],
    "manifest_nan_inf": [
        b'{"Limits": {"memory": NaN}}',
        b'{"Limits": {"wall": Infinity}}',
        b'{"Limits": {"cpu": -Infinity}}',
    ],
    "manifest_limits_huge": [
        manifest_of(Limits={"memory": 10**9}),
        manifest_of(Limits={"wall": 10**12}),
        manifest_of(Limits={"cpu": 2**63}),
        manifest_of(Limits={"output": "1GiB"}),
        manifest_of(Limits={"host_calls": 10**6}),
    ],
    "manifest_deep_json": [b'{"Label":' + b"[" * 30_000 + b"]" * 30_000 + b"}", b"[" * 60_000],
    "manifest_bad_utf8_bom": [b"\xef\xbb\xbf" + manifest_of()],
    "manifest_huge": [b'{"Label":"' + b"A" * 65_536 + b'"}'],
    "manifest_unknown_fields_proto": [
        manifest_of(__proto__={"admin": True}),
        manifest_of(__class__="x"),
        manifest_of(hooks={"install": "rm -rf /"}),
    ],
}
"""What a probe says of a manifest, said in the properties that ours has."""

FILE_NAMES: Final = {
    "manifest_id_traversal": ["../../host.203.zip", "..203.zip", ".203.zip"],
    "manifest_id_empty_long_bidi": ["\u202ex" * 5000 + ".203.zip", "a\u202eb.203.zip"],
    "manifest_id_reserved": ["host.203.zip", "MSX.203.zip"],
}
"""The identity of a package is its file name."""


def zipped(files: dict[str, bytes]) -> bytes:
    """An ordinary zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def good(manifest: bytes | None = None) -> bytes:
    """A package that keeps the rules, but for what `manifest` says."""
    content = manifest_of() if manifest is None else manifest
    return zipped({"manifest.json": content, "main.lua": b"return 1\n"})


class Packages:
    """Builds the archives and tries to install them."""

    def __init__(self, folder: Path) -> None:
        self._plugins = folder / "plugins"
        self._archives = folder / "archives"
        self._plugins.mkdir(parents=True)
        self._archives.mkdir()
        install(parse_package(good(), "steady.203.zip"), self._plugins, version=VERSION)
        self._before = self._there()

    def build(self, probe: Probe) -> None:
        """Have the corpus's own program write its archives, once."""
        if not any(self._archives.iterdir()):
            program = Path(probe.source).with_name("make_archives.py")
            subprocess.run(
                [sys.executable, str(program), str(self._archives)],
                check=True,
                stdout=subprocess.DEVNULL,
            )

    def _there(self) -> list[str]:
        return sorted(str(path.relative_to(self._plugins)) for path in self._plugins.rglob("*"))

    def run(self, probe: Probe) -> tuple[str, str, list[str]]:
        """The outcome in the corpus's words, what was said, and what is wrong."""
        number, _, name = Path(probe.source).stem.partition("_")
        if name in _SCENES:
            outcome, said, problems = "contained", "", []
            try:
                said = _SCENES[name](self._plugins)
            except AssertionError as failed:
                problems.append(str(failed) or "the scene ended otherwise than it must")
        else:
            outcome, said, problems = self._refused(number, name)
        if self._there() != self._before:
            problems.append(f"something was left: {set(self._there()) ^ set(self._before)}")
        return outcome, said, problems

    def _refused(self, number: str, name: str) -> tuple[str, str, list[str]]:
        rule = RULES.get(name)
        if rule is None:
            return "ok", "", ["the harness has no rule for this probe"]
        texts, problems = [], []
        for filename, data, must_match in self._variants(number, name):
            try:
                install(parse_package(data, filename), self._plugins, version=VERSION)
            except PackageRejected as error:
                texts.append(str(error))
                if must_match and not re.search(rule, error.message):
                    problems.append(f"refused for another reason than {rule}: {error.message}")
            else:
                problems.append(f"{filename} was installed")
        return ("ok" if problems else "reject"), "\n".join(texts), problems

    def _variants(self, number: str, name: str) -> Iterator[tuple[str, bytes, bool]]:
        """File names and archives, and whether the probe's own rule must be what stops them."""
        (path,) = self._archives.glob(f"{number}_*")
        data = path.read_bytes()
        manifest = name.startswith("manifest_")
        if path.suffix == ".tar":
            yield "probe.203.tgz", data, False
            yield "probe.203.tgz", gzip.compress(data), True
        else:
            yield NAME, data, not manifest
        if manifest:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                yield NAME, good(archive.read("plugin.json")), False
        for content in OURS.get(name, []):
            yield NAME, good(content), True
        for filename in FILE_NAMES.get(name, []):
            yield filename, good(), True


# ---------------------------------------------------------------------- probes without an archive


def _swapped_after_it_was_checked(plugins: Path) -> str:
    """The file is another one by the time that it is installed; also a link to a good one."""
    path = plugins.parent / "victim.203.zip"
    path.write_bytes(good())
    package = read_package(path)
    path.write_bytes(zipped({"manifest.json": manifest_of(), "main.lua": b"return 'ESCAPED'\n"}))
    install(package, plugins, version=VERSION)
    found = (plugins / "victim" / "main.lua").read_bytes()
    assert package.sha256 == hashlib.sha256(good()).hexdigest()
    assert found == b"return 1\n", "ESCAPED: other bytes than the checked ones were installed"
    _uninstall("victim", plugins)
    path.unlink()
    path.symlink_to(plugins / "steady" / RECORD)
    text = _must_reject(lambda: read_package(path))
    path.unlink()
    return text


def _staging_folder_replaced(plugins: Path) -> str:
    """While its files are written, the staged folder becomes a link to somewhere else."""
    outside = plugins.parent / "outside"
    outside.mkdir()
    content = {"manifest.json": manifest_of(), "a/b.lua": b"return 1\n", "z.lua": b"return 2\n"}
    package = parse_package(zipped(content), "victim.203.zip")
    texts = []
    for upgrade in (False, True):
        if upgrade:
            install(package, plugins, version=VERSION)
        with mock.patch.object(store, "_write_file", _replacing(plugins, outside)):
            texts.append(_must_reject(lambda: install(package, plugins, version=VERSION)))
        assert not list(outside.iterdir()), "ESCAPED: it wrote through a link"
        assert not (plugins / "victim").is_symlink(), "ESCAPED: a link was installed"
        assert (plugins / "victim").is_dir() is upgrade
    _uninstall("victim", plugins)
    outside.rmdir()
    return "\n".join(texts)


def _replacing(plugins: Path, outside: Path) -> Callable[[int, str, bytes], None]:
    write = store._write_file
    staged = plugins / store.PRIVATE / "new-victim"
    moved = plugins / store.PRIVATE / "new-moved"

    def replacing(folder: int, name: str, content: bytes) -> None:
        if not staged.is_symlink():
            staged.rename(moved)
            staged.symlink_to(outside)
        write(folder, name, content)

    return replacing


def _digest_over_all_bytes(plugins: Path) -> str:
    """A digest holds for all bytes: any other one, anywhere, and the package is refused."""
    data = good()
    digest = hashlib.sha256(data).hexdigest()
    assert parse_package(data, NAME, sha256=digest).sha256 == digest
    changed = [data + b"\0", b"\0" + data]
    changed += [data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] for at in range(len(data))]
    texts = set()
    for one in changed:
        text = _must_reject(lambda one=one: parse_package(one, NAME, sha256=digest))
        assert "SHA-256" in text
        texts.add(text)
    assert len(texts) == len(changed)
    return min(texts)


_SCENES: Final[dict[str, Callable[[Path], str]]] = {
    "toctou_replace_after_verify": _swapped_after_it_was_checked,
    "staging_dir_symlink_race": _staging_folder_replaced,
    "signature_over_wrong_bytes": _digest_over_all_bytes,
}
"""What the corpus only describes."""


def _must_reject(action: Callable[[], object]) -> str:
    try:
        action()
    except PackageRejected as error:
        return str(error)
    raise AssertionError("ESCAPED: it was not refused")


def _uninstall(name: str, plugins: Path) -> None:
    uninstall(name, plugins)
    assert name not in os.listdir(plugins)
