"""The words: limits, capabilities, manifests, headers and errors, and how they refuse."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import errors
from sandbox.api.functions import BY_NAME, FUNCTIONS
from sandbox.errors import (
    ConfigurationError,
    ConfinementUnavailable,
    Frame,
    LimitExceeded,
    Panic,
    PluginError,
    PolicyDenied,
    SandboxError,
    denial,
)
from sandbox.limits import Limits, parse_bytes, parse_count, parse_seconds
from sandbox.manifest import Manifest, parse, read
from sandbox.messages import Headers, Request, Response, plain, reason_phrase
from sandbox.policy import BASE, CAPABILITIES, Policy, covers, parse_capability
from sandbox.usage import Measure, Usage
from sandbox.values import GuestFunction, Stanza, text_map

# ---------------------------------------------------------------------- limits


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1.0), ("250ms", 0.25), ("10us", 1e-5), ("2min", 120.0), ("1h", 3600.0), ("5", 5.0),
        ("1.5s", 1.5), (" 2 S ", 2.0), (3, 3.0), (0.5, 0.5), ("0.001s", 0.001),
    ],
)  # fmt: skip
def test_seconds(text: object, seconds: float) -> None:
    assert parse_seconds("cpu", text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("64MiB", 64 * 2**20), ("1kB", 1000), ("1KiB", 1024), ("2m", 2 * 2**20), ("3g", 3 * 2**30),
        ("1GB", 10**9), ("100", 100), ("100b", 100), (4096, 4096), ("1.5k", 1536),
        (" 7 MB ", 7 * 10**6),
    ],
)  # fmt: skip
def test_sizes(text: object, size: int) -> None:
    found = parse_bytes("memory", text)
    assert (found, type(found)) == (size, int)


NO_QUANTITIES: list[Any] = [
    None, True, False, "", " ", "s", "ms", "one", "1 s s", "-1s", "+1", "1e3", "0x10", "1_000",
    "1,5s", "nan", "inf", math.nan, math.inf, -math.inf, 0, 0.0, -1, "0", "0s", [], {}, b"1s",
    2**53,
    "99999999999999999999", "1s\0", "１s", "1ſ", object,
]  # fmt: skip


@pytest.mark.parametrize("value", NO_QUANTITIES, ids=repr)
@pytest.mark.parametrize("field", ["cpu", "wall", "memory", "output"])
def test_a_limit_that_makes_no_sense_is_named(field: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"^{field}: "):
        Limits(**{field: value})


@pytest.mark.parametrize(
    "value", [None, True, 0, -1, 1.5, "1.5", "", "x", "-1", " 1", "１", [], b"1"]
)
def test_a_count_that_makes_no_sense_is_named(value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^host_calls: .*positive whole number"):
        Limits(host_calls=value)
    assert parse_count("host_calls", "12") == 12


@pytest.mark.parametrize(("field", "value"), [("cpu", "1MiB"), ("memory", "1s"), ("output", "1h")])
def test_units_of_another_kind_are_refused(field: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{field}: cannot read"):
        Limits(**{field: value})


@pytest.mark.parametrize(("field", "value"), [("memory", 0.5), ("output", "0.5b"), ("output", 0.9)])
def test_less_than_one_byte_is_nothing(field: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"^{field}: "):
        Limits(**{field: value})


def test_too_little_memory_is_said_before_a_worker_dies_of_it() -> None:
    with pytest.raises(ConfigurationError, match="less than 1MiB"):
        Limits(memory="512KiB")


def test_limits_are_values() -> None:
    limits = Limits(cpu="250ms", memory="64MiB")
    assert limits == Limits(cpu=0.25, memory=64 * 2**20)
    assert hash(limits) == hash(Limits(cpu=0.25))
    with pytest.raises(AttributeError):
        limits.cpu = 5.0  # type: ignore[misc]
    assert limits.replace(wall="9s").wall == 9.0
    assert limits.replace(wall="9s").cpu == 0.25
    with pytest.raises(ConfigurationError, match=r"^disk: no such limit; there are cpu, wall"):
        limits.replace(disk=1)


@given(st.text(max_size=12))
def test_no_text_breaks_the_parsers(text: str) -> None:
    for parse_one in (parse_seconds, parse_bytes, parse_count):
        try:
            assert parse_one("f", text) >= 0
        except ConfigurationError as error:
            shown = str(error)
        else:
            shown = "f: "
        assert shown.startswith("f: ")


def test_usage_as_plain_data() -> None:
    row = Measure(1.0, 2.0, 3.0)
    table = Usage(*[row] * 8).as_dict()
    assert list(table) == [
        "cpu", "wall", "memory", "output", "host_calls", "egress", "storage", "log_lines"
    ]  # fmt: skip
    assert json.loads(json.dumps(table))["cpu"] == {"limit": 1.0, "current": 2.0, "peak": 3.0}


# ---------------------------------------------------------------------- policy


@pytest.mark.parametrize(
    "text",
    ["timer", "memory", "file", "file:rw", "http", "http:api.example.org", "http:a.example:8080",
     "http:*.example.org", "http:[::1]:80"],
)  # fmt: skip
def test_capabilities(text: str) -> None:
    assert parse_capability(text) == text


@pytest.mark.parametrize(
    "text",
    ["", ":", "Timer", "timer:", "timer ", " timer", "time", "http:", "http:a b", "http:a\n",
     "http\n", "http:ä.example", "http:" + "a" * 262, "http:a?b", "*", "os", "__class__", None, 5,
     b"timer",
     ["timer"], True],
    ids=lambda one: repr(one)[:30],
)  # fmt: skip
def test_what_is_no_capability(text: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^capability: "):
        parse_capability(text)
    with pytest.raises(ConfigurationError, match=r"^capability: "):
        Policy(text)
    with pytest.raises(ConfigurationError, match=r"^capability: "):
        Policy(plugins={"p": [text]})


def test_an_unknown_capability_lists_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="there are file, http, memory, timer"):
        parse_capability("process")


@pytest.mark.parametrize(
    ("granted", "wanted", "answer"),
    [
        ("http", "http", True), ("http", "http:a.example", True), ("http:a.example", "http", False),
        ("http:a.example", "http:a.example", True), ("http:a.example", "http:b.example", False),
        ("http:a", "http:a.example", False), ("http:a.example", "http:a.example:80", False),
        ("time", "timer", False), ("file", "files", False), ("timer", "memory", False),
    ],
)  # fmt: skip
def test_covers(granted: str, wanted: str, answer: bool) -> None:
    assert covers(granted, wanted) is answer


def test_deny_by_default() -> None:
    nothing = Policy(base=False)
    for capability in CAPABILITIES:
        for kind in BASE:
            assert not nothing.allows("p", kind, capability)
    assert not any(Policy().allows("p", "code", capability) for capability in CAPABILITIES)


def test_what_the_documents_give() -> None:
    policy = Policy()
    assert policy.grants("p", "module") == {"timer"}
    assert policy.grants("p", "script") == {"memory", "file", "http"}
    assert policy.grants("p", "code") == frozenset()


def test_grants_are_added_up() -> None:
    policy = Policy("memory", plugins={"radio": ["http:a.example"]}, base=False)
    assert policy.grants("radio", "code") == {"memory", "http:a.example"}
    assert policy.grants("other", "code") == {"memory"}
    assert policy.allows("radio", "module", "http:a.example")
    assert not policy.allows("other", "module", "http:a.example")
    assert not policy.allows("Radio", "module", "http:a.example")


def test_one_text_is_not_a_list_of_letters() -> None:
    """A common mistake: `{"radio": "timer"}`."""
    with pytest.raises(ConfigurationError):
        Policy(plugins={"radio": "timer"})


def test_what_is_withheld_is_not_given() -> None:
    policy = Policy(
        "http:a.example",
        plugins={"radio": ["memory"]},
        withheld={"*": ["memory"], "news": ["http"]},
    )
    assert policy.grants("other", "script") == {"file", "http", "http:a.example"}
    assert policy.grants("news", "script") == {"file", "http:a.example"}
    assert not policy.allows("news", "script", "http:b.example")
    assert policy.opens("news", "script", "http")
    assert not policy.opens("news", "script", "memory")
    # What was granted by name is granted.
    assert policy.grants("radio", "script") == {"file", "http", "memory", "http:a.example"}
    assert policy.base("radio", "script") == {"file", "http"}
    assert policy.grants("news", "module") == {"timer", "http:a.example"}
    assert policy.named() == {"http:a.example", "memory"}
    more = policy.adding("timer", plugins={"news": ["http:b.example"]})
    assert more.grants("news", "script") == {"file", "timer", "http:a.example", "http:b.example"}
    assert not more.allows("other", "script", "memory")
    assert "withheld={'*': ['memory'], 'news': ['http']}" in repr(more)
    assert Policy(base=False, withheld={"*": ["http"]}).grants("p", "script") == frozenset()


@pytest.mark.parametrize("words", [["fly"], ["http:a.example"], [""], [5], [None], "http"])
def test_what_cannot_be_withheld(words: Any) -> None:
    with pytest.raises(
        ConfigurationError, match=r"^withheld: .*there are file, http, memory, time"
    ):
        Policy(withheld={"radio": words})


def test_a_denial_says_who_what_and_how_to_grant_it() -> None:
    error = PolicyDenied("http:a.example", plugin="radio")
    assert str(error) == error.message == denial("http:a.example", "radio")
    assert "plugin 'radio'" in str(error)
    assert "'http:a.example'" in str(error)
    grant = str(error).split("grant it with ")[1]
    assert grant == "Policy(plugins={'radio': ['http:a.example']})"
    assert Policy(plugins={"radio": ["http:a.example"]}).allows("radio", "code", "http:a.example")
    # The operator of a server reads it as well, who writes no program.
    assert "`sandbox serve` grants it on its page or by --grant http:a.example;" in str(error)
    bare = denial("timer", "")
    assert "this code needs the capability 'timer'" in bare
    assert bare.endswith("grant it with Policy('timer')")
    assert Policy("timer").allows("", "code", "timer")


# ---------------------------------------------------------------------- manifest


def manifest(**properties: Any) -> Manifest:
    """A manifest with these properties."""
    return parse(json.dumps(properties).encode(), plugin="p")


def test_a_manifest() -> None:
    found = manifest(LABEL="Radio", image="i.png", Torrent=True, Capabilities=["http:a.example"],
                     limits={"cpu": "500ms", "memory": 2**21})  # fmt: skip
    assert (found.label, found.image, found.icon, found.url) == ("Radio", "i.png", "", "")
    assert found.torrent
    assert found.capabilities == ("http:a.example",)
    assert found.limits_within(Limits()) == Limits(cpu=0.5, memory=2**21)
    assert manifest(unknown=[1], version=2) == Manifest()


BAD_MANIFESTS: dict[str, tuple[bytes, int, str]] = {
    "nothing": (b"", 1, "is not JSON"),
    "no object": (b"[]", 1, "must be a JSON object"),
    "a text": (b'"x"', 1, "must be a JSON object"),
    "no JSON on line 3": (b'{\n"a": 1,\n oops}', 3, "is not JSON"),
    "a comma too many": (b'{"a": 1,}', 1, "is not JSON"),
    "text before it": (b"x {}", 1, "is not JSON"),
    "two byte order marks": (b"\xef\xbb\xbf" * 2 + b"{}", 1, "is not JSON"),
    "a no-break space before it": (b"\xc2\xa0{}", 1, "is not JSON"),
    "UTF-16": ("{}".encode("utf-16"), 1, "is not JSON"),
    "too long": (b" " * 65_537, 1, "is longer than"),
    "too deep": (b"[" * 60_000, 1, "nests too deep"),
    "label a number": (b'{"Label": 5}', 1, "Label must be a text"),
    "torrent a text": (b'{"Torrent": "yes"}', 1, "Torrent must be true or false"),
    "torrent a number": (b'{"Torrent": 1}', 1, "Torrent must be true or false"),
    "capabilities a text": (b'{"Capabilities": "timer"}', 1, "Capabilities must be a list"),
    "capabilities a map": (b'{"Capabilities": {}}', 1, "Capabilities must be a list"),
    "capability a number": (b'{"Capabilities": [5]}', 1, "capability: cannot read 5"),
    "capability a list": (b'{"Capabilities": [["timer"]]}', 1, "capability: cannot read"),
    "capability unknown": (b'{"Capabilities": ["os"]}', 1, "'os' is unknown"),
    "limits a list": (b'{"Limits": []}', 1, "Limits must be an object"),
    "limit unknown": (b'{"Limits": {"disk": 1}}', 1, "disk: no such limit"),
    "limit of nothing": (b'{"Limits": {"cpu": null}}', 1, "cpu: cannot read"),
    "limit of true": (b'{"Limits": {"cpu": true}}', 1, "cpu: True is not a quantity"),
    "limit negative": (b'{"Limits": {"memory": -5}}', 1, "memory: "),
    "limit NaN": (b'{"Limits": {"cpu": NaN}}', 1, "cpu: "),
    "limit infinite": (b'{"Limits": {"cpu": 1e999}}', 1, "cpu: "),
    "limit named self": (b'{"Limits": {"self": 1}}', 1, "self"),
    "huge number": (b'{"Limits": {"cpu": ' + b"9" * 5000 + b"}}", 1, ""),
}


@pytest.mark.parametrize("name", BAD_MANIFESTS)
def test_a_bad_manifest_names_file_and_line(name: str) -> None:
    data, line, says = BAD_MANIFESTS[name]
    with pytest.raises(PluginError) as caught:
        parse(data, plugin="radio")
    error = caught.value
    assert (error.plugin, error.file, error.line) == ("radio", "manifest.json", line)
    assert says in str(error)
    assert "manifest.json" in str(error)
    assert len(str(error)) < 500


@given(st.binary(max_size=60))
def test_no_bytes_break_the_manifest(data: bytes) -> None:
    try:
        parse(data, plugin="p")
    except PluginError as error:
        where = error.file
    else:
        where = "manifest.json"
    assert where == "manifest.json"


@pytest.mark.parametrize(
    "data",
    [
        b'{"Label": "x"}, trailing',
        b'{"Label": "x"}\n{"Label": "y"}',
        b'{"Label": "x"}}',
        b'{"Label": "x"}\n\xff\0',
        b'\xef\xbb\xbf{"Label": "x"}',
        b'\r\n\t {"lAbEL": "x"}\r\n',
        b'{"Label": "x", "Image": null, "Torrent": null, "Capabilities": null, "Limits": null}',
        b'{"Label": "x", "label": null}',
        b'{"Label": "x", "Version": {"a": [1.5e3, null]}, "": 5}',
    ],
)
def test_what_servemsx_takes_for_a_manifest_is_one(data: bytes) -> None:
    assert parse(data, plugin="p") == Manifest(label="x")


@pytest.mark.parametrize("data", [b"null", b'{"Label": null}', b"null, and so on", b"{}{"])
def test_nothing_leaves_the_defaults(data: bytes) -> None:
    assert parse(data, plugin="p") == Manifest()


@pytest.mark.parametrize(
    ("data", "label"),
    [
        (b'{"Label": "a\xff\xfeb"}', "a\ufffd\ufffdb"),
        (b'{"Label": "a\\ud800b"}', "a\ufffdb"),
        (b'{"Label": "\\udc00\\ud83d\\ude00"}', "\ufffd\U0001f600"),
    ],
)
def test_what_is_no_text_in_a_label_is_shown_as_such(data: bytes, label: str) -> None:
    """As Go has it; a half surrogate could not be sent to anybody."""
    assert parse(data, plugin="p").label == label


def test_trailing_text_takes_no_limit_away() -> None:
    found = parse(b'{"Limits": {"cpu": "1ms"}} {"Limits": {}}', plugin="p")
    assert found.limits_within(Limits()).cpu == 0.001


def test_a_plugin_asks_for_less_never_for_more() -> None:
    with pytest.raises(
        ConfigurationError,
        match=r"Limits\.cpu: 2\.0 is more than the operator allows, which is 1\.0",
    ):
        manifest(Limits={"cpu": "2s"}).limits_within(Limits(cpu="1s"))
    assert manifest(Limits={"cpu": "1s"}).limits_within(Limits(cpu="1s")) == Limits(cpu="1s")


def test_reading_a_folder(tmp_path: Path) -> None:
    assert read(tmp_path) == Manifest()
    assert read(tmp_path / "file") == Manifest()
    (tmp_path / "manifest.json").write_text('{"label": "x"}')
    assert read(tmp_path).label == "x"
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(PluginError, match=tmp_path.name):
        read(tmp_path)
    (tmp_path / "manifest.json").unlink()
    (tmp_path / "manifest.json").mkdir()
    with pytest.raises(PluginError, match="cannot be read"):
        read(tmp_path)


def test_a_pipe_is_no_manifest_and_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "manifest.json")
    with pytest.raises(PluginError, match="cannot be read: it is not a regular file"):
        read(tmp_path)
    (tmp_path / "manifest.json").unlink()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "manifest.json").symlink_to("pipe")
    with pytest.raises(PluginError, match="cannot be read: it is not a regular file"):
        read(tmp_path)


def test_a_link_that_leads_out_is_no_manifest(tmp_path: Path) -> None:
    inside = tmp_path / "p"
    (inside / "sub").mkdir(parents=True)
    (tmp_path / "secret.json").write_text('{"label": "secret"}')
    (inside / "sub" / "m.json").write_text('{"label": "own"}')
    link = inside / "manifest.json"
    link.symlink_to(tmp_path / "secret.json")
    assert read(inside) == Manifest()
    for place in ("../secret.json", "/dev/zero", ".", "..", "missing", "sub/m.json/x"):
        link.unlink()
        link.symlink_to(place)
        assert read(inside) == Manifest()
    link.unlink()
    link.symlink_to("sub/m.json")
    assert read(inside).label == "own"
    (tmp_path / "linked").symlink_to("p")
    assert read(tmp_path / "linked").label == "own"


# ---------------------------------------------------------------------- messages


def test_headers() -> None:
    headers = Headers([("content-TYPE", "a"), ("X-One", "1"), ("Content-Type", "b")])
    assert headers["Content-Type"] == "a"
    assert headers.get("CONTENT-type") == "a"
    assert headers.getlist("content-type") == ["a", "b"]
    assert "x-ONE" in headers
    assert "x-two" not in headers
    assert len(headers) == len(list(headers)) == 2
    assert headers.as_lists() == {"Content-Type": ["a", "b"], "X-One": ["1"]}
    assert headers.items_all()[2] == ("Content-Type", "b")
    fields: dict[str, str | list[str]] = {"a": ["1", "2"], "b": "3"}
    assert Headers(fields).getlist("A") == ["1", "2"]
    assert dict(Headers()) == {}
    with pytest.raises(KeyError):
        headers["absent"]


def test_requests() -> None:
    request = Request("GET", "/a%20b/%C3%A9?x=1&y=%20#z", headers={"A": ["1", "2"]})
    assert request.path == "/a b/é"
    assert request.query == "x=1&y=%20"
    assert isinstance(request.headers, Headers)
    assert Request("GET", "/").query == ""
    assert Request("GET", "/%ff").path.encode("utf-8", "surrogateescape") == b"/\xff"
    assert Request("GET", "//host/x?y").path == "//host/x"
    for uri in ("", "a", "http://a/", "?x"):
        with pytest.raises(ConfigurationError, match=r"^uri: "):
            Request("GET", uri)


@pytest.mark.parametrize("uri", ["//[x", "/a?[", "//[::1", "//[v1.x]/?q"])
def test_a_target_that_looks_like_a_broken_address_is_a_path(uri: str) -> None:
    request = Request("GET", uri)
    assert request.path == uri.partition("?")[0]
    assert request.query == uri.partition("?")[2]


def test_plain_answers() -> None:
    answer = plain(404, "Not Found")
    assert (answer.status, answer.text) == (404, "Not Found\n")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert plain(500, "\ud800").body == b"?\n"
    assert reason_phrase(404) == "Not Found"
    assert reason_phrase(599) == reason_phrase(-1) == ""
    assert Response(body=b"\xff").text == "\N{REPLACEMENT CHARACTER}"


# ---------------------------------------------------------------------- errors


def test_every_error_is_a_sandbox_error_and_documented() -> None:
    found = [
        one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, Exception)
    ]
    assert len(found) >= 12
    for one in found:
        assert issubclass(one, SandboxError)
        assert one.__doc__


def test_where_an_error_happened() -> None:
    frames = [Frame("a.x", 1, "main"), Frame("b.x", 7, "inner")]
    error = PluginError("oh", plugin="p", frames=frames)
    assert (error.file, error.line) == ("b.x", 7)
    assert str(error) == "oh (plugin 'p', b.x:7)"
    assert error.traceback().splitlines() == [
        "plugin frames (innermost last):", "  a.x:1: in main", "  b.x:7: in inner", str(error),
    ]  # fmt: skip
    assert str(SandboxError("oh")) == "oh"
    assert str(SandboxError("oh", file="f")) == "oh (f)"


@pytest.mark.parametrize(
    ("limit", "says"),
    [("cpu", "cpu limit exceeded: 1.500s of 1.000s"), ("wall", "1.500s of 1.000s"),
     ("memory", "1 bytes of 1 bytes"), ("host_calls", "1 calls of 1 calls")],
)  # fmt: skip
def test_a_limit_says_how_much_of_what(limit: str, says: str) -> None:
    error = LimitExceeded(limit, allowed=1.0, used=1.5, plugin="p")
    assert says in str(error)
    assert (error.limit, error.allowed, error.used, error.plugin) == (limit, 1.0, 1.5, "p")


def test_what_is_missing_is_named() -> None:
    error = ConfinementUnavailable(["Landlock", "seccomp"])
    assert "missing: Landlock, seccomp" in str(error)
    assert error.missing == ("Landlock", "seccomp")


def test_a_panic_keeps_its_value() -> None:
    error = Panic("panic: 404", value=404, status=404)
    assert (error.value, error.status, error.type) == (404, 404, "panic")


# ---------------------------------------------------------------------- values and the host API


def test_stanzas() -> None:
    inner, other = Stanza("b", {"xmlns": "x"}, ["t"]), Stanza("b", {}, ["u"])
    outer = Stanza("a", {"xmlns": "y"}, ["1", inner, "2", other])
    assert list(outer.tags()) == [inner, other]
    assert outer.get_child("b") is other
    assert outer.get_child("b", "x") is inner
    assert outer.get_child("c") is None
    assert outer.text() == "12"
    assert Stanza("a").attr is not Stanza("a").attr


def test_small_words() -> None:
    assert text_map({"a": 1}) == {"a": 1}
    assert text_map({1: 1}) == text_map([]) == text_map(None) == {}
    with pytest.raises(TypeError, match="not bound"):
        GuestFunction(1)()


HOSTILE = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3),
    st.binary(max_size=3),
    st.lists(st.none(), max_size=2), st.dictionaries(st.text(max_size=1), st.none(), max_size=2),
)  # fmt: skip
TYPES: dict[str, tuple[type, ...]] = {
    "text": (str,), "number": (int, float), "integer": (int,), "list": (list,), "map": (dict,),
    "boolean": (bool,), "any": (object,),
}  # fmt: skip


@pytest.mark.parametrize("name", BY_NAME)
@given(arguments=st.lists(HOSTILE, max_size=7))
def test_arguments_of_host_functions(name: str, arguments: list[Any]) -> None:
    """Either what was declared, or an error that names the function."""
    function = BY_NAME[name]
    before = list(arguments)
    try:
        found = function.check(arguments)
    except PluginError as error:
        shown = str(error)
    else:
        shown = name
        assert len(found) == len(function.parameters)
        for parameter, value in zip(function.parameters, found, strict=True):
            if value is None:
                assert parameter.optional or parameter.type == "any"
            elif parameter.type != "any":
                assert type(value) in TYPES[parameter.type]
    assert shown.startswith(name)
    assert len(arguments) == len(before)


def test_host_functions_are_declared_once() -> None:
    assert len(BY_NAME) == len(FUNCTIONS)
    for function in FUNCTIONS:
        assert function.doc
        assert function.capability is None or parse_capability(function.capability)
        assert all(one.type in TYPES and one.doc for one in function.parameters)
        assert function.result in TYPES
