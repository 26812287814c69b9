"""What real Prosody was seen to do, against what the engine does: equal but for a list.

The recorded probe (its modules, its script and its output) is next to the checkout and is not
part of it; without it these tests are skipped.  `deviations.md` lists every line that differs,
with the reason; a difference that is not listed fails, and so does an entry that does not occur.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conformance import Awaited, Blocking, Lines, logged, open_engine

import sandbox

HERE = Path(__file__).parent
ORACLE = HERE.parents[2] / "shared" / "oracle" / "prosody"
HOSTS = ("localhost", "two.localhost")
LIFECYCLE = (
    "host module lifecycle", "unknown host / params / missing / syntax",
    "global without add_host", "shared module (add_host)", "late set_global + twice",
    "module.host='*' compat", "add_host failures", "add_host without set_global",
    "errors in chunk / load", "depends", "module:require", "unload effects",
)  # fmt: skip
INSIDE = ("options", "events", "items", "shared tables")
CONFIG: dict[str, Any] = {
    "o_str": "text", "o_num": 5, "o_numstr": "7", "o_flt": 1.5, "o_bad": "abc", "o_true": True,
    "o_false": False, "o_strtrue": "true", "o_strfalse": "false", "o_one": 1, "o_zero": 0,
    "o_yes": "yes", "o_list": ["a", "b"], "o_list1": ["only"], "o_empty": [],
    "o_path": "sub/file", "o_abs": "/abs/file", "o_home": "~/x", "o_inh": ["g1", "g2"],
    "localhost": {"o_inh": ["h1"]},
}  # fmt: skip

pytestmark = pytest.mark.skipif(
    not ORACLE.is_dir(), reason="the recorded probe of Prosody is not next to this checkout"
)


# ---------------------------------------------------------------------------------- the recording


def recorded() -> dict[str, list[str]]:
    """The lines of each section of the probe's output."""
    sections: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in (ORACLE / "probe.expected.txt").read_text(errors="replace").splitlines():
        if line.startswith("== "):
            lines = sections.setdefault(line[3:], [])
        elif line:
            lines.append(line)
    return sections


def script() -> dict[str, str]:
    """The code of each section of the probe."""
    text = (ORACLE / "modules" / "mod_probe.lua").read_text(errors="replace")
    parts = re.split(r'^test\("([^"]+)", function\(\)', text, flags=re.MULTILINE)
    pairs = zip(parts[1::2], parts[2::2], strict=True)
    return {name: body[: body.rindex("end)")] for name, body in pairs}


def deviations() -> tuple[list[tuple[str, str]], dict[str, Counter[str]]]:
    """`deviations.md`: texts of the recording to be read otherwise, and lines that differ."""
    texts: list[tuple[str, str]] = []
    lines: dict[str, Counter[str]] = {}
    section = ""
    for line in (HERE / "deviations.md").read_text().splitlines():
        if line.startswith("## "):
            section = line[3:]
        elif found := re.fullmatch(r"- read `(.+?)` as `(.*?)`: \S.*", line):
            texts.append((found[1], found[2]))
        elif found := re.fullmatch(r"- (?:(\d+) x )?`([-+] .+?)`: \S.*", line):
            lines.setdefault(section, Counter())[found[2]] += int(found[1] or 1)
        else:
            assert not line.startswith("- "), f"deviations.md: cannot read {line!r}"
    return texts, lines


def compare(section: str, ours: list[str]) -> None:
    """Fail unless `ours` differs from the recording exactly as listed."""
    texts, listed = deviations()

    def read(line: str) -> str:
        for pattern, instead in texts:
            line = re.sub(pattern, instead, line)
        return line.strip()

    theirs = [read(line) for line in recorded()[section]]
    ours = [read(line) for line in ours]
    found = Counter(
        line.strip()
        for line in difflib.ndiff(theirs, ours)
        if line[:2] in ("- ", "+ ")
    )  # fmt: skip
    wanted = listed.get(section, Counter())
    missing, extra = wanted - found, found - wanted
    report = [f"not listed: {line}" for line in extra.elements()]
    report += [f"listed, but the same now: {line}" for line in missing.elements()]
    assert not report, "\n".join([section, *report])


# ---------------------------------------------------------------------------------- our side


class Probe:
    """Does what a section of the probe does, and writes what it would have written."""

    def __init__(self, engine: Blocking | Awaited, log: Lines, place: Path) -> None:
        self.engine = engine
        self.place = place
        self.log = log
        self.lines: list[str] = []
        log.take()

    def heard(self) -> None:
        """What the modules traced meanwhile."""
        for line in self.log.take():
            text = line.partition(": ")[2]
            if text.startswith(("trace ", "event on ")) and " module=trace " not in text:
                self.lines.append(text)

    def result(self, label: str, act: Any, name: str) -> None:
        """The line of a result or an error."""
        try:
            status = act()
            done = "true" if status is None else f"module {name}@{status.host}"
            text = f"-> {label}: {done}  err=nil"
        except sandbox.PluginError as error:
            place = f"{error.file}:{error.line}: " if error.file and error.line else ""
            known = isinstance(error, sandbox.LifecycleError | sandbox.UnknownPlugin)
            message = error.message.partition("\n")[0]
            text = f"-> {label}: nil  err={message if known else place + message}"
        self.heard()
        self.lines.append(text)

    def run(self, code: str) -> None:
        """Take the calls of a section, in order."""
        verbs = "load|unload|reload|where|fire|R|fire_other"
        call = re.compile(rf"\b({verbs})\(([^()]*(?:\([^()]*\))?)\)")
        for verb, listed in call.findall(code):
            arguments = [self._argument(one) for one in listed.split(",")]
            getattr(self, f"do_{verb}")(*arguments)

    @staticmethod
    def _argument(text: str) -> str:
        text = text.strip()
        return {"H": HOSTS[0], "T": HOSTS[1]}.get(text, text.strip('"'))

    def _lifecycle(self, verb: str, host: str, name: str) -> None:
        self.lines.append(f"{verb}({host}, {name})")
        self.result(verb, lambda: self.engine.do(verb, host, name), name)

    def do_load(self, host: str, name: str) -> None:
        """`load` of the probe."""
        self._lifecycle("load", host, name)

    def do_unload(self, host: str, name: str) -> None:
        """`unload` of the probe."""
        self._lifecycle("unload", host, name)

    def do_reload(self, host: str, name: str) -> None:
        """`reload` of the probe."""
        self._lifecycle("reload", host, name)

    def do_R(self, label: str, _call: str, *_: str) -> None:
        """The one direct call of the probe: without a name."""
        self.result(label, lambda: self.engine.do("load", HOSTS[0], ""), "")

    def do_where(self, name: str) -> None:
        """`where` of the probe."""
        places = [
            f"{host}={f'{host}/loaded=nil' if self.engine.do('is_loaded', host, name) else '-'}"
            for host in ("*", *HOSTS)
        ]
        self.lines.append(f"-> where {name}: {'  '.join(places)}")

    def do_fire(self, host: str, event: str) -> None:
        """`fire` of the probe."""
        found = self.engine.do("fire", host, event, {})
        self.heard()
        self.lines.append(f"fire {host} {event} -> {'nil' if found is None else found}")

    def do_fire_other(self, *_: str) -> None:
        """The probe calls a function of mod_t_eff, which fires its own bus."""
        self.engine.do("fire", "*", "fire other", {})
        self.heard()


def group() -> list[str]:
    """The modules of the probe, all in one worker."""
    files = ORACLE.glob("modules/mod_t_*")
    names = {path.name.removeprefix("mod_").partition(".")[0] for path in files}
    return ["trace", "probe", *sorted(names)]


@pytest.fixture(params=["confined-Engine", "confined-AsyncEngine", "inline-Engine"])
def probe(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Probe]:
    isolation, kind = request.param.split("-")
    (tmp_path / "own").mkdir()
    engine = open_engine(
        kind, plugins=[tmp_path / "own", HERE / "oracle", ORACLE / "modules"], hosts=HOSTS,
        config=CONFIG, groups=[group()], isolation=isolation,
        clock=sandbox.ManualClock(),
    )  # fmt: skip
    try:
        with logged() as log:
            engine.do("load", "*", "trace")
            yield Probe(engine, log, tmp_path / "own")
    finally:
        engine.close()


@pytest.mark.parametrize("section", LIFECYCLE)
def test_life_cycle(probe: Probe, section: str) -> None:
    code = script()[section]
    if section == "unload effects":
        # The probe writes its module's file itself here; ours is already there.
        code = code[code.index("]]") :]
    probe.run(code)
    if section == "unload effects":
        loaded = probe.engine.do("fire", "*", "kept loaded", {})
        probe.lines.append(f"env.module.loaded={loaded}")
    compare(section, probe.lines)


@pytest.mark.parametrize("section", INSIDE)
def test_module_api(probe: Probe, section: str) -> None:
    """Sections that run inside a module: the probe's own code, in a module called probe."""
    head = (HERE / "oracle" / "probe_head.lua").read_text()
    text = f"{head}\nmodule:hook('run', function()\n{script()[section]}\nend)\n"
    (probe.place / "mod_probe.lua").write_text(text)
    probe.engine.do("load", "localhost", "probe")
    probe.log.take()
    probe.engine.do("fire", "localhost", "run", {})
    lines = [line.removeprefix("localhost:probe: ") for line in probe.log.take()]
    compare(section, [line for line in lines if line.startswith("  ")])
