"""The pages in `docs/` say what is true: the generated one is current, the examples run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sandbox import Engine, Request
from sandbox.api.functions import FUNCTIONS
from sandbox.api.reference import reference
from sandbox.limits import Limits
from sandbox.policy import BASE, CAPABILITIES

DOCS = Path(__file__).parents[2] / "docs"
EXCLUDED = (
    "open",
    "input",
    "eval",
    "exec",
    "compile",
    "globals",
    "vars",
    "dir",
    "id",
    "memoryview",
)
GUIDE = (DOCS / "plugins.md").read_text(encoding="utf-8")
TENGO = (DOCS / "tengo.md").read_text(encoding="utf-8")


def test_the_host_api_page_is_current() -> None:
    page = (DOCS / "host-api.md").read_text(encoding="utf-8")
    assert page == reference(), "write sandbox.api.reference.reference() to docs/host-api.md"


def test_the_guide_names_what_the_declarations_name() -> None:
    for function in FUNCTIONS:
        if function.capability is not None:
            assert f"`{function.capability}`" in GUIDE
    for capability in BASE["module"] | BASE["script"]:
        assert capability in CAPABILITIES
        assert f"| `{capability}` |" in GUIDE
    for limit in Limits.__slots__:
        assert f"| `{limit}` |" in GUIDE


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The code blocks of both guides, each in the file that its first line names."""
    root = tmp_path_factory.mktemp("guide")
    pattern = r"```(?:lua|python|go)\n(?:--|#|//) (\S+)\n(.*?)```"
    blocks = re.findall(pattern, GUIDE + TENGO, re.DOTALL)
    assert len(blocks) == 6
    for name, source in blocks:
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(source, encoding="utf-8")
    return root


@pytest.mark.parametrize("plugin", ["counter", "counter_py", "counter_tengo", "visits"])
def test_script_examples(examples: Path, plugin: str) -> None:
    with Engine([examples]) as engine:
        first = engine.request(plugin, Request("GET", f"/{plugin}/"))
        named = engine.request(plugin, Request("GET", f"/{plugin}/?name=Ada"))
        refused = engine.request(plugin, Request("GET", f"/{plugin}/?name="))
    assert first.text == "Hello, stranger! 1"
    assert named.text == "Hello, Ada! 2"
    assert refused.status == 400


@pytest.mark.parametrize("module", ["seen", "seen_py"])
def test_module_examples(examples: Path, module: str) -> None:
    event = {"from": "ada@example.org"}
    with Engine([examples], hosts=["example.org"]) as engine:
        engine.load("example.org", module)
        answers = [engine.fire("example.org", "message", event) for _ in range(3)]
        engine.reload("example.org", module)
        assert engine.fire("example.org", "message", event) == "too many"
        engine.unload("example.org", module)
    assert answers == [None, None, "too many"]


@pytest.mark.parametrize(
    ("language", "source", "expected"),
    [
        ("lua", "return {1, nil, 3}", {"1": 1, "3": 3}),
        ("lua", "return {}", {}),
        ("lua", "return {1, 2}", [1, 2]),
        ("lua", "return '\\255'", b"\xff"),
        ("lua", "return '\u00e4'", "\u00e4"),
        ("lua", "return math.maxinteger + 1", -(2**63)),
        ("lua", "return io or debug or package or dofile or loadfile or warn or os", None),
        ("lua", "return string.dump", None),
        ("python", "(1, 2)", [1, 2]),
        ("python", "b'\\xff'", b"\xff"),
        ("python", "2.0", 2.0),
    ],
)
def test_values_in_the_guide(language: str, source: str, expected: object) -> None:
    with Engine() as engine:
        run = engine.execute(source, language)
    assert run.ok
    assert run.value == expected
    assert type(run.value) is type(expected)


@pytest.mark.parametrize(
    ("language", "source"),
    [
        ("lua", "local t = {} t.t = t return t"),
        ("lua", "return setmetatable({}, {__gc = print})"),
        ("lua", "return coroutine.create(print)"),
        *(("python", name) for name in EXCLUDED),
        ("python", "import datetime\ndatetime.date(2020, 1, 1)"),
        ("python", "{1, 2}"),
        ("python", "2 ** 63"),
        ("python", "import time\ntime.sleep(0)"),
        ("python", "().__class__"),
        ("python", "import os"),
        ("python", "async def f(): pass"),
    ],
)
def test_refusals_in_the_guide(language: str, source: str) -> None:
    with Engine() as engine:
        assert not engine.execute(source, language).ok
