"""What the files of a package may hold, and what its manifest may say."""

from __future__ import annotations

import gzip
import json

import pytest
from package_samples import (
    FILES,
    MANIFEST,
    TGZ,
    ZIP,
    readable,
    refused,
    tarred,
    tgz,
    with_manifest,
    zipped,
)

from sandbox import Limits
from sandbox.packages.archive import parse_package


@pytest.mark.parametrize(
    ("name", "content", "rule"),
    [
        ("main.lua", b"\x1bLua\x54\x00", "bytecode"),
        ("data.bin", b"\x1bLJ\x02", "bytecode"),
        ("x.dat", b"\xa7\r\r\n" + bytes(12), "bytecode"),
        ("x.pyc", b"", "compiled code"),
        ("lib/x.SO", b"", "compiled code"),
        ("libx.so.1.2", b"", "compiled code"),
        ("x.cpython-311-x86_64-linux-gnu.so", b"", "compiled code"),
        ("x.dll", b"", "compiled code"),
        ("logo.png", b"\x7fELF\2\1\1", "ELF"),
        ("logo.png", b"MZ\x90\0\3\0", "PE"),
        ("logo.png", b"\xcf\xfa\xed\xfe\7\0", "Mach-O"),
        ("x.bin", b"\0asm\1\0\0\0", "WebAssembly"),
        ("more.dat", b"PK\3\4....", "archive in the archive"),
        ("more.dat", gzip.compress(b"x"), "archive in the archive"),
        ("more.dat", tarred(), "archive in the archive"),
        ("main.lua", b"return '\xe9'", "not UTF-8"),
        ("a.b/mod.PY", b"x = 1\0", "NUL"),
    ],
)
def test_files_that_are_refused(name: str, content: bytes, rule: str) -> None:
    message = refused(zipped({**FILES, name: content}))
    assert rule in message
    assert repr(name) in message


def test_files_that_are_fine() -> None:
    files = {
        **FILES,
        "mz.txt": b"MZ is how it begins",
        "two.txt": b"{}\r\n{}\r\n",
        "latin.txt": b"\xe9\0",
        "logo.example.com.png": b"x",
        "jquery.so.js": b"x",
        "chapter.1": b"x",
    }
    assert dict(parse_package(zipped(files), ZIP).files) == files


def test_which_files_are_source_can_be_said() -> None:
    files = {**FILES, "x.script": b"\xff"}
    assert parse_package(zipped(files), ZIP).files
    assert "'x.script': is a source file" in refused(zipped(files), sources={"script"})


# ---------------------------------------------------------------------- the manifest


@pytest.mark.parametrize(
    "properties",
    [
        {},
        {"Label": "My Plugin", "Icon": "cloud-queue", "Torrent": True},
        {"LABEL": "x", "image": "{BASE_URL}logo.png", "url": "{BASE_URL}start.tengo?a=../b#c"},
        {
            "Image": "https://example.org/a/../logo.png",
            "URL": "HTTP://example.org:81/?u={BASE_URL}",
        },
        {"URL": "request:interaction:init@http://msx.benzac.de/interaction/paging.html"},
        {"URL": "request:interaction:init@{BASE_URL}page.html"},
        {
            "URL": "start.json",
            "Image": "{BASE_URL}/img/logo..png",
            "Label": "\U0001f468\u200d\U0001f469",
        },
        {"URL": "", "Limits": {"cpu": "100ms", "memory": 2**21, "wall": 0.5}},
        {"Capabilities": ["timer", "http:api.example.org"]},
    ],
)
def test_manifests_that_are_fine(properties: dict[str, object]) -> None:
    package = parse_package(with_manifest(json.dumps(properties).encode()), ZIP)
    for name, value in properties.items():
        found = getattr(package.manifest, name.lower())
        assert found == value or name in ("Limits", "Capabilities")


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "is not JSON"),
        (b"{} {}", "is not JSON"),
        (b"[]", "must be a JSON object"),
        (b"\xff", "is not UTF-8"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b'{"Label": null}', "label must be a text"),
        (b'{"Label": "a\\u202eb"}', "invisible character U+202E"),
        (b'{"Label": "\\ud800"}', "invisible character U+D800"),
        (b'{"Label": "' + b"x" * 201 + b'"}', "longer than 200"),
        (b'{"Torrent": 1}', "torrent must be true or false"),
        (b'{"Torrent": true, "torrent": true}', "is there twice"),
        (b'{"id": "x"}', "'id' is not known"),
        (b'{"x\\u202e' + b"y" * 1000 + b'": 1}', "is not known"),
        (b'{"Limits": {"disk": 1}}', "no such limit"),
        (b'{"Limits": {"cpu": true}}', "must be a number or a text"),
        (b'{"Limits": {"cpu": -1}}', "more than nothing"),
        (b'{"Limits": {"cpu": "1e9"}}', "cannot read"),
        (b'{"Limits": {"cpu": 1e308}}', "more than nothing and finite"),
        (b'{"Limits": {"cpu": 1e400}}', "too big"),
        (b'{"Limits": {"cpu": ' + b"9" * 5000 + b"}}", "more than 16 digits"),
        (b'{"Limits": {"memory": 1}}', "less than 1MiB"),
        (b'{"Limits": {"cpu": "1.01s"}}', "more than the operator allows"),
        (b'{"Limits": []}', "limits must be an object"),
        (b'{"Capabilities": {}}', "capabilities must be a list"),
        (b'{"Capabilities": ["timer", "timer"]}', "twice"),
        (b'{"Capabilities": ["everything"]}', "is unknown"),
        (b'{"Capabilities": ["*"]}', "cannot read"),
        (json.dumps({"Capabilities": [f"http:h{n}" for n in range(65)]}).encode(), "more than 64"),
        (b'{"URL": "http://"}', "needs a host"),
        (b'{"URL": "http://user@host/"}', "needs a host, without user"),
        (b'{"URL": "http://[::1/"}', "is not a URL"),
        (b'{"URL": "ftp://host/"}', "neither http nor https"),
        (b'{"URL": "data:text/html,x"}', "neither http nor https"),
        (b'{"URL": "a/../../x"}', "leaves the package"),
        (b'{"URL": "{BASE_URL}a/%252E%252e/x"}', "leaves the package"),
        (b'{"URL": "{BASE_URL}a%00"}', "leaves the package"),
        (b'{"URL": "request:interaction:x@file:///etc/passwd"}', "neither http nor https"),
        (b'{"Label":' + b"[" * 5 + b"]" * 5 + b"}", "nests more than 4"),
        (b'{"Label": "' + b'\\"' * 32_000, "is not JSON"),
        (b"{" + b'"' * 65_000, "is not JSON"),
        (b" " * 65_537, "longer than 65536"),
    ],
)
def test_manifests_that_are_refused(content: bytes, rule: str) -> None:
    message = refused(with_manifest(content))
    assert message.startswith("manifest.json: ")
    assert rule in message
    assert readable(message)


def test_the_operator_says_what_a_manifest_may_ask_for() -> None:
    data = with_manifest(b'{"Limits": {"memory": "256MiB"}}')
    assert "more than the operator allows" in refused(data)
    assert parse_package(data, ZIP, allowed=Limits(memory="1GiB")).files


def test_a_package_without_manifest() -> None:
    assert "has no manifest.json" in refused(zipped({"Manifest.json": MANIFEST}))
    whole = {f"radio/{name}": content for name, content in FILES.items()}
    assert "is in the folder 'radio'" in refused(tgz(whole), TGZ)
