"""Modules of Prosody's community, as Debian ships them, unmodified.

They are taken from the installed package `prosody-modules`, or downloaded with apt once into a
cache below the system's folder for temporary files; where neither works the tests are skipped.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conformance import ENGINES, ISOLATIONS, Awaited, Blocking, Lines, logged, open_engine

from sandbox import PluginError, Stanza

HERE = Path(__file__).parent
MODULES = Path("usr/lib/prosody/modules")
NEEDED = ("mod_c2s_conn_throttle", "mod_track_muc_joins")
FEATURES, STARTTLS = "stream-features", "stanza/urn:ietf:params:xml:ns:xmpp-tls:starttls"
MUC_USER = "http://jabber.org/protocol/muc#user"


def _complete(folder: Path) -> bool:
    return all((folder / name / f"{name}.lua").is_file() for name in NEEDED)


def _download(cache: Path) -> None:
    cache.mkdir(mode=0o700, exist_ok=True)
    if cache.stat().st_uid != os.getuid():
        raise OSError(f"{cache} belongs to somebody else")
    with tempfile.TemporaryDirectory(dir=cache) as place:
        subprocess.run(
            ["apt-get", "download", "-q", "prosody-modules"],
            cwd=place, check=True, capture_output=True, timeout=60,
        )  # fmt: skip
        (package,) = Path(place).glob("prosody-modules_*.deb")
        subprocess.run(
            ["dpkg-deb", "-x", package.name, "unpacked"],
            cwd=place, check=True, capture_output=True, timeout=60,
        )  # fmt: skip
        # In one step, so that a second run never sees half of it.
        if not (cache / "package").exists():
            (Path(place) / "unpacked").rename(cache / "package")


@pytest.fixture(scope="module")
def modules() -> Path:
    """The folder with the unmodified modules."""
    installed = Path("/") / MODULES
    if _complete(installed):
        return installed
    cache = Path(tempfile.gettempdir()) / f"plugin-sandbox-tests-{os.getuid()}"
    folder = cache / "package" / MODULES
    if not _complete(folder):
        try:
            _download(cache)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            pytest.skip(f"Debian's prosody-modules is not installed and cannot be fetched: {error}")
    assert _complete(folder), f"{folder} lacks {NEEDED}"
    return folder


@pytest.fixture(params=[f"{i}-{e}" for i in ISOLATIONS for e in ENGINES])
def engine(request: pytest.FixtureRequest, modules: Path) -> Iterator[Blocking | Awaited]:
    isolation, kind = request.param.split("-")
    found = open_engine(
        kind, plugins=[modules, HERE / "prosody"], hosts=["localhost", "two.localhost"],
        config={"two.localhost": {"cthrottler_logins_count": 1}}, isolation=isolation,
        groups=[["sessions", "track_muc_joins"]],
    )  # fmt: skip
    try:
        yield found
    finally:
        found.close()


@pytest.fixture
def log() -> Iterator[Lines]:
    with logged() as lines:
        yield lines


class Session:
    """A client's session of a server, as modules see it in events."""

    def __init__(self, engine: Blocking | Awaited, address: str, kind: str = "c2s_unauthed"):
        self.engine = engine
        self.address = address
        self.kind = kind
        self.closed: list[Any] = []

    def event(self, name: str, host: str = "localhost") -> Any:
        """Fire an event of this session."""
        origin = {"ip": self.address, "type": self.kind, "close": self.close}
        return self.engine.do("fire", host, name, {"origin": origin, "stanza": Stanza("starttls")})

    def close(self, session: dict[str, Any], reason: dict[str, str]) -> None:
        """What session:close calls."""
        assert session["ip"] == self.address
        self.closed.append(reason["condition"])


def test_c2s_conn_throttle(engine: Blocking | Awaited, log: Lines) -> None:
    assert engine.do("load", "localhost", "c2s_conn_throttle").host == "localhost"
    session = Session(engine, "192.0.2.1")
    assert [session.event(FEATURES) for _ in range(3)] == [None, None, None]
    assert not session.closed
    assert log.take() == []
    assert session.event(FEATURES) is True
    assert session.closed == ["policy-violation"]
    said = "Exceeded login count for 192.0.2.1, closing connection"
    assert log.take() == [f"error localhost:c2s_conn_throttle: {said}"]

    known = Session(engine, "192.0.2.1", "c2s")
    other = Session(engine, "192.0.2.2")
    assert known.event(FEATURES) is None
    assert other.event(FEATURES) is None

    # With starttls the count is that of the starttls stanzas.
    secure = Session(engine, "192.0.2.3")
    secure.event(FEATURES)
    secure.event(STARTTLS)
    assert [secure.event(FEATURES) for _ in range(5)] == [None] * 5
    for _ in range(3):
        secure.event(STARTTLS)
    assert secure.event(FEATURES) is True
    assert secure.closed == ["policy-violation"]
    log.take()

    engine.do("reload", "localhost", "c2s_conn_throttle")
    assert [session.event(FEATURES) for _ in range(3)] == [None, None, None]
    assert session.event(FEATURES) is True
    engine.do("unload", "localhost", "c2s_conn_throttle")
    assert session.event(FEATURES) is None
    with pytest.raises(PluginError, match="module-not-loaded"):
        engine.do("unload", "localhost", "c2s_conn_throttle")


def test_c2s_conn_throttle_reads_the_options_of_its_host(engine: Blocking | Awaited) -> None:
    engine.do("load", "two.localhost", "c2s_conn_throttle")
    session = Session(engine, "192.0.2.1")
    assert session.event(FEATURES, "two.localhost") is None
    assert session.event(FEATURES, "two.localhost") is True
    assert session.closed == ["policy-violation"]


def _presence(room: str, kind: str | None = None, code: str = "110") -> dict[str, Stanza]:
    attr = {"to": "ada@localhost/desk", "from": f"{room}@muc.localhost/Ada"}
    if kind:
        attr["type"] = kind
    status = Stanza("status", {"code": code})
    return {"stanza": Stanza("presence", attr, [Stanza("x", {"xmlns": MUC_USER}, [status])])}


def test_track_muc_joins(engine: Blocking | Awaited, log: Lines) -> None:
    address = {"address": "ada@localhost/desk"}

    def rooms() -> Any:
        return engine.do("fire", "localhost", "rooms", address)

    def presence(*arguments: str) -> None:
        assert engine.do("fire", "localhost", "presence/full", _presence(*arguments)) is None

    engine.do("load", "localhost", "sessions")
    engine.do("load", "localhost", "track_muc_joins")
    places = [f"{room}@muc.localhost/Ada" for room in ("garden", "kitchen")]
    engine.do("fire", "localhost", "bind", {**address, "directed": places})

    presence("garden", "error")
    presence("cellar")  # no presence was sent there, so it is no join
    presence("kitchen", "", "100")
    assert rooms() is None
    log.take()
    presence("garden")
    assert rooms() == {"garden@muc.localhost": "Ada"}
    assert log.take() == [
        "debug localhost:track_muc_joins: Status code [110]",
        "debug localhost:track_muc_joins: Joined room garden@muc.localhost",
    ]
    presence("kitchen")
    assert rooms() == {"garden@muc.localhost": "Ada", "kitchen@muc.localhost": "Ada"}
    presence("garden", "unavailable")
    assert rooms() == {"kitchen@muc.localhost": "Ada"}

    engine.do("reload", "localhost", "track_muc_joins")
    presence("garden")
    assert rooms() == {"garden@muc.localhost": "Ada", "kitchen@muc.localhost": "Ada"}
    engine.do("unload", "localhost", "track_muc_joins")
    presence("garden", "unavailable")
    assert rooms() == {"garden@muc.localhost": "Ada", "kitchen@muc.localhost": "Ada"}
