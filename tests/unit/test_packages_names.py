"""The names of packages, of plugins and of what is in an archive."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from package_samples import (
    MANIFEST,
    TGZ,
    ZIP,
    readable,
    refused,
    tgz,
    zipped,
)

from sandbox import PackageRejected
from sandbox.packages.names import check_member, check_plugin, package_name, shown

BAD_FILE_NAMES = [
    "radio.tgz", "radio.20.tgz", "radio.2033.tgz", ".203.tgz", "..203.tgz", "a.b.203.tgz",
    "../radio.203.tgz", "a/radio.203.tgz", "radio.203.tgz\n", "radio.203.TGZ", "radio.203.tar.gz",
    "radio.\u0662\u0660\u0663.tgz", "", "radio.203.rar",
]  # fmt: skip


@pytest.mark.parametrize("name", BAD_FILE_NAMES)
def test_file_names_that_are_no_packages(name: str) -> None:
    with pytest.raises(PackageRejected):
        package_name(name)


def test_a_file_name() -> None:
    assert package_name("My_radio-2.001.tgz") == ("My_radio-2", 1, "tgz")


@pytest.mark.parametrize(
    "name",
    ["", "-x", "msx", "MSX", "host", "con", "LPT1", "a b", "a/b", "..", "x" * 65, "r\u0430dio"],
)
def test_plugin_names(name: str) -> None:
    with pytest.raises(PackageRejected, match="plugin name"):
        check_plugin(name)


BAD_MEMBERS = [
    "", "/x", "x/", "a//b", ".", "..", "a/../b", "a/./b", "./a", "C:x", "a\\b", "a*b", "a?", "a|b",
    'a"b', "a<b", "a>b", "a\nb", "a\x1bb", "a\x00b", "a\x7fb", "a\u202eb", "a\u200bb", "a\u2028b",
    "a\ufeffb", "a\ud800b", "\ue000", "\u0378", "e\u0301", "CON", "nul.txt", "a/Aux.lua", "com1",
    "lpt\u00b9.x", "con .txt", "a.", "a ", " a", ".git/config", ".hidden", "-rf", "~/x", "$HOME/x",
    "__pycache__/x", "__PyCache__", "\uff0e\uff0e/x", "a\uff0fb", "\uff23\uff2f\uff2e",
    "x" * 121, "/".join("a" * 9), "\u00e9" * 61, "/".join(["a" * 100] * 3),
]  # fmt: skip


@pytest.mark.parametrize("name", BAD_MEMBERS)
def test_member_names(name: str) -> None:
    with pytest.raises(PackageRejected, match=r"^member .*: ") as caught:
        check_member(name)
    assert readable(caught.value.message)


@pytest.mark.parametrize(
    "names",
    [
        ("a.lua", "A.lua"), ("d/x", "D/y"), ("d", "d/x"), ("d/x", "d"), ("d/x", "D"),
        ("stra\u00dfe", "strasse"), ("\ufb01x", "fix"), ("x", "x"), ("\u212a", "k"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("archive", [tgz, zipped])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_get_in_each_others_way(
    names: tuple[str, str], archive: Callable[[dict[str, bytes]], bytes]
) -> None:
    first, second = names
    if first == second:
        files = {"manifest.json": MANIFEST, "one": b"", "two": b""}
        data = archive(files)
        if archive is zipped:
            data = data.replace(b"two", b"one")
        else:
            return
    else:
        data = archive({"manifest.json": MANIFEST, first: b"", second: b""})
    message = refused(data, TGZ if archive is tgz else ZIP)
    assert any(word in message for word in ("the same", "twice", "below a file", "and a folder",
                                            "normal form"))  # fmt: skip


def test_shown() -> None:
    assert shown("a\u202e\n'") == '"a\\u202e\\n\'"'
    assert shown(b"\xff") == "b'\\xff'"
    assert len(shown("\U0001f600" * 1000)) < 90
