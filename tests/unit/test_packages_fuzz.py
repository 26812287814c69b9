"""Damaged packages: refused, or a package that keeps the rules; never anything else."""

from __future__ import annotations

import gzip
import os
import tarfile
import zipfile
from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st
from package_samples import (
    SMALL,
    TGZ,
    ZIP,
    readable,
    tgz,
    with_manifest,
    zipped,
)

from sandbox import PackageRejected
from sandbox.packages.archive import Package, parse_package
from sandbox.packages.names import check_member

SEEDS = {
    TGZ: [tgz(), tgz(format=tarfile.PAX_FORMAT), tgz(format=tarfile.USTAR_FORMAT)],
    ZIP: [zipped(), zipped(method=zipfile.ZIP_STORED)],
}


@st.composite
def mutated(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """A package with a few bytes changed, cut out, doubled or moved."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        size = draw(st.integers(0, 64))
        kind = draw(st.sampled_from(["set", "cut", "double", "insert"]))
        if kind == "set":
            new = draw(st.binary(min_size=1, max_size=4))
            data[at : at + len(new)] = new
        elif kind == "cut":
            del data[at : at + size]
        elif kind == "double":
            data[at:at] = data[at : at + size]
        else:
            data[at:at] = draw(st.binary(max_size=16))
    return bytes(data)


def checked(data: bytes, filename: str) -> None:
    """Refused as it must be, or a package that keeps the rules."""
    try:
        package = parse_package(data, filename, caps=SMALL)
    except PackageRejected as refusal:
        assert readable(refusal.message), refusal.message  # noqa: PT017
        return
    assert isinstance(package, Package)
    for name in package.files:
        check_member(name)
    assert sum(map(len, package.files.values())) <= SMALL.total


@settings(max_examples=300, deadline=2000)
@given(mutated(SEEDS[ZIP]))
def test_mutated_zips(data: bytes) -> None:
    checked(data, ZIP)


@settings(max_examples=150, deadline=2000)
@given(mutated(SEEDS[TGZ]))
def test_mutated_gzip_data(data: bytes) -> None:
    checked(data, TGZ)


@settings(max_examples=300, deadline=2000)
@given(mutated([gzip.decompress(seed) for seed in SEEDS[TGZ]]))
def test_mutated_tars(data: bytes) -> None:
    checked(gzip.compress(data, 1), TGZ)


@settings(max_examples=300, deadline=2000)
@given(
    mutated([b'{"Label": "x", "Limits": {"cpu": 1}, "Capabilities": ["timer"], "URL": "http://h"}'])
)
def test_mutated_manifests(data: bytes) -> None:
    checked(with_manifest(data), ZIP)


@settings(max_examples=300)
@given(st.text(max_size=40) | st.text("./\\aA:-~\u202e \0", max_size=12))
def test_names_are_refused_or_plain(name: str) -> None:
    try:
        check_member(name)
    except PackageRejected as refusal:
        assert readable(refusal.message), refusal.message  # noqa: PT017
    else:
        assert os.path.normpath(os.path.join("/top", name)) == f"/top/{name}"


def every_bit(data: bytes) -> Iterator[bytes]:
    """The data with each of its bits turned, one at a time."""
    for at in range(len(data)):
        for bit in range(8):
            yield data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :]


def test_every_turned_bit_of_a_small_zip() -> None:
    """Nothing in it is unread but times, owners, permissions and who made it."""
    data = zipped({"manifest.json": b"{}", "a": b"x"}, zipfile.ZIP_STORED)
    files = parse_package(data, ZIP).files
    accepted = 0
    for one in every_bit(data):
        try:
            found = parse_package(one, ZIP)
        except PackageRejected:
            continue
        assert found.files == files
        accepted += 1
    # version made by, internal attributes and permissions of two members
    assert accepted < 2 * 8 * (2 + 2 + 4)
