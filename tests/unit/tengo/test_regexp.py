"""Regular expressions: Go's syntax and ways, by RE2, inside a confined worker too."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from strings_library import Strings, TengoError

from runtimes.tengo import regexp
from sandbox.worker import confine

if not regexp.available():
    pytest.skip("google-re2 is not installed", allow_module_level=True)

strings = Strings()


def match(text: str, begin: int, end: int) -> str:
    return f'{{begin: {begin}, end: {end}, text: "{text}"}}'


FOUND: list[tuple[str, str, int | None, str]] = [
    ("a(b)", "xab", None, f"[[{match('ab', 1, 3)}, {match('b', 2, 3)}]]"),
    ("é(.)", "aéb", None, f"[[{match('éb', 1, 4)}, {match('b', 3, 4)}]]"),
    ("a", "b", None, "<undefined>"),
    ("a", "b", -1, "<undefined>"),
    ("a", "banana", 0, "<undefined>"),
    ("a", "banana", 2, f"[[{match('a', 1, 2)}], [{match('a', 3, 4)}]]"),
    ("a*", "baac", -1, f"[[{match('', 0, 0)}], [{match('aa', 1, 3)}], [{match('', 4, 4)}]]"),
    ("", "é", -1, f"[[{match('', 0, 0)}], [{match('', 2, 2)}]]"),
    ("^a", "aa", -1, f"[[{match('a', 0, 1)}]]"),
    (r"\ba", "aa a", -1, f"[[{match('a', 0, 1)}], [{match('a', 3, 4)}]]"),
    ("(?i)É", "é", None, f"[[{match('é', 0, 2)}]]"),
    ("(?s)a.b", "a\nb", None, f"[[{match('a' + chr(92) + 'nb', 0, 3)}]]"),
    ("(?m)^b$", "a\nb\nc", None, f"[[{match('b', 2, 3)}]]"),
    ("(?U)a+", "aaa", None, f"[[{match('a', 0, 1)}]]"),
    ("a|ab", "ab", None, f"[[{match('a', 0, 1)}]]"),
    (r"\pL+", "1é_", None, f"[[{match('é', 1, 3)}]]"),
    (r"[[:word:]]+", "é_1", None, f"[[{match('_1', 2, 4)}]]"),
    (r"\Qa.b\E", "a.b", None, f"[[{match('a.b', 0, 3)}]]"),
]


@pytest.mark.parametrize(("pattern", "text", "limit", "result"), FOUND)
def test_finding(pattern: str, text: str, limit: int | None, result: str) -> None:
    limits = () if limit is None else (limit,)
    assert strings.call("text.re_find", pattern, text, *limits) == result
    compiled = strings.modules["text"][b"re_compile"](1, pattern.encode())
    assert strings.raw(compiled[b"find"], text, *limits) == result
    matched = "true" if result != "<undefined>" or limit == 0 else "false"
    assert strings.call("text.re_match", pattern, text) == matched
    assert strings.raw(compiled[b"match"], text) == matched


def test_bytes_that_are_no_utf8_match_like_u_fffd() -> None:
    assert regexp.find(b".", b"\xe2\x82x\xff", -1) == [1, 0, 1, 1, 2, 2, 3, 3, 4]
    assert regexp.find(b"[^a]", b"a\xffa", -1) == [1, 1, 2]
    assert regexp.match("\ufffd".encode(), b"\xff")
    assert regexp.find("é$".encode(), b"\xff\xc3\xa9", -1) == [1, 1, 3]
    assert regexp.replace(b"(.)b", b"a\xffb", b"[$1]") == b"a[\xff]"


def test_a_group_that_took_no_part() -> None:
    assert regexp.find(b"a(b)?", b"a", -1) == [2, 0, 1, -1, -1]
    with pytest.raises(TengoError, match=r"^runtime error: slice bounds out of range \[-1:\]$"):
        strings.call("text.re_find", "a(b)?", "a")
    assert strings.call("text.re_replace", "a(b)?", "a", "<$1>") == '"<>"'


REPLACED = [
    ("(a)(b)", "xabx", "${2}$1", "xbax"),
    ("(a)(b)", "ab", "$1x", ""),
    ("(a)(b)", "ab", "${1}x", "ax"),
    ("(a)(b)", "ab", "$0$0", "abab"),
    ("(?P<n>a)(b)", "ab", "$n-${n}-$2", "a-a-b"),
    ("(?P<é>a)", "a", "${é}", "a"),
    ("a", "a", "$$1", "$1"),
    ("a", "a", "$", "$"),
    ("a", "a", "$-${}${x", "$-${}${x"),
    ("a", "a", "$1$n", ""),
    ("(a)", "a", "$01", ""),
    ("(a)", "a", "$99999999999", ""),
    ("x*", "abxc", "-", "-a-b-c-"),
    ("(?s)<.+?>", "a<b\nc>d<e>", "", "ad"),
    ("ac$", "acac", "foo", "acfoo"),
    ("(일(2)삼)", "일2삼12삼일23", "$1$2", "일2삼212삼일23"),
    ("b", "a", "x", "a"),
]


@pytest.mark.parametrize(("pattern", "text", "template", "result"), REPLACED)
def test_replacing(pattern: str, text: str, template: str, result: str) -> None:
    assert strings.call("text.re_replace", pattern, text, template) == f'"{result}"'
    compiled = strings.modules["text"][b"re_compile"](1, pattern.encode())
    assert strings.raw(compiled[b"replace"], text, template) == f'"{result}"'


SPLIT: list[tuple[str, str, int | None, str]] = [
    (r",\s*", "a, b,c", None, '["a", "b", "c"]'),
    ("a", "abcabc", None, '["", "bc", "bc"]'),
    ("a", "abcabc", 2, '["", "bcabc"]'),
    ("a", "abcabc", 1, '["abcabc"]'),
    ("a", "abcabc", 0, "[]"),
    ("^a", "abcabc", -1, '["", "bcabc"]'),
    ("c", "abc", -1, '["ab", ""]'),
    ("b*", "abc", -1, '["a", "c"]'),
    ("", "abc", -1, '["a", "b", "c"]'),
    ("(b)", "abc", -1, '["a", "c"]'),
    ("a", "", -1, '[""]'),
    ("", "", -1, "[]"),
    ("x", "abc", -1, '["abc"]'),
]


@pytest.mark.parametrize(("pattern", "text", "limit", "result"), SPLIT)
def test_splitting(pattern: str, text: str, limit: int | None, result: str) -> None:
    limits = () if limit is None else (limit,)
    assert strings.call("text.re_split", pattern, text, *limits) == result
    compiled = strings.modules["text"][b"re_compile"](1, pattern.encode())
    assert strings.raw(compiled[b"split"], text, *limits) == result


WRONG = [
    ("(?=a)b", "invalid or unsupported Perl syntax: `(?=`"),
    ("(?!a)", "invalid or unsupported Perl syntax: `(?!`"),
    ("(?<=a)b", "invalid or unsupported Perl syntax: `(?<`"),
    (r"\1", r"invalid escape sequence: `\1`"),
    (r"\C", r"invalid escape sequence: `\C`"),
    ("a(b", "missing closing ): `a(b`"),
    ("a)b", "unexpected ): `a)b`"),
    ("[a", "missing closing ]: `[a`"),
    ("a**", "invalid nested repetition operator: `**`"),
    ("*a", "missing argument to repetition operator: `*`"),
    ("a{1001}", "invalid repeat count: `{1001}`"),
    ("[b-a]", "invalid character class range: `b-a`"),
    ("(?P<n", "invalid named capture: `(?P<n`"),
    ("a\\", "trailing backslash at end of expression: ``"),
]


@pytest.mark.parametrize(("pattern", "problem"), WRONG)
def test_a_wrong_pattern_is_a_runtime_error(pattern: str, problem: str) -> None:
    message = f"fails: error parsing regexp: {problem}"
    assert strings.outcome("text.re_match", pattern, "x") == message
    assert strings.outcome("text.re_find", pattern, "x", -1) == message
    assert strings.outcome("text.re_replace", pattern, "x", "y") == message
    assert strings.outcome("text.re_split", pattern, "x") == message
    assert strings.outcome("text.re_split", pattern, "") == message
    assert strings.outcome("text.re_compile", pattern) == message
    # Only re_find complains of the pattern before it looks at the text.
    assert strings.outcome("text.re_find", pattern, None) == message
    assert strings.outcome("text.re_match", pattern, None) != message


def test_quoted_parts_of_a_pattern_are_no_escapes() -> None:
    assert regexp.match(rb"\Q\C\E", rb"\C")
    assert regexp.match(rb"\\C", rb"\C")


def test_what_is_no_utf8_is_a_wrong_pattern() -> None:
    with pytest.raises(regexp.RegexpError) as raised:
        regexp.check(b"a\xffb")
    assert str(raised.value) == "error parsing regexp: invalid UTF-8: `\ufffdb`"


CALL = " in call to 'user-function:': expected "
TYPES: list[tuple[str, tuple[Any, ...], str]] = [
    ("re_match", (None, "a"), f"argument 'first'{CALL}string(compatible), found undefined"),
    ("re_match", ("a", None), f"argument 'second'{CALL}string(compatible), found undefined"),
    ("re_find", ("a", None), f"argument 'second'{CALL}string(compatible), found undefined"),
    ("re_find", ("a", "a", "x"), f"argument 'third'{CALL}int(compatible), found string"),
    ("re_replace", ("a", "a", None), f"argument 'third'{CALL}string(compatible), found undefined"),
    ("re_split", ("a", "a", []), f"argument 'third'{CALL}int(compatible), found array"),
    ("re_compile", (None,), f"argument 'first'{CALL}string(compatible), found undefined"),
]


@pytest.mark.parametrize(("name", "arguments", "message"), TYPES)
def test_types_of_arguments(name: str, arguments: tuple[Any, ...], message: str) -> None:
    assert strings.outcome(f"text.{name}", *arguments) == f"fails: invalid type for {message}"


def test_arguments_of_a_compiled_expression() -> None:
    compiled = strings.modules["text"][b"re_compile"](1, b"a")
    for name in (b"match", b"find", b"replace", b"split"):
        for arguments in ((), ("a", "a", "a")):
            with pytest.raises(TengoError, match=r"^wrong number of arguments in call to"):
                strings.raw(compiled[name], *arguments)
    with pytest.raises(TengoError, match=r"'second' in .* expected int"):
        strings.raw(compiled[b"find"], "a", "x")
    with pytest.raises(TengoError, match=r"'first' in .* expected string"):
        strings.raw(compiled[b"find"], None)
    assert strings.raw(compiled[b"find"], 5) == "<undefined>"


def test_no_more_patterns_are_kept_than_allowed() -> None:
    for number in range(100):
        assert regexp.match(b"%d" % number, b"%d" % number)
    assert len(regexp._cache) == 32
    assert b"99" in regexp._cache and b"67" not in regexp._cache


def test_matching_takes_linear_time() -> None:
    assert not regexp.match(rb"(x+x+)+y", b"x" * 1_000_000)
    assert not regexp.match(rb"(a?){500}a{500}$", b"a" * 499)


def test_without_the_package_only_its_functions_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regexp, "_RE2", None)
    monkeypatch.setattr(regexp, "_cache", {})
    message = strings.outcome("text.re_match", "a", "a")
    assert message.startswith("fails: regular expressions need the package google-re2")
    assert strings.call("text.index", "ab", "b") == "1"


CONFINED = r"""
import os, socket
from runtimes.tengo import casing, regexp
from sandbox.worker import confine

mine, theirs = socket.socketpair()
limits = confine.Rlimits(confine.base_address_space() + (256 << 20), 30)
confine.harden_zygote()
parent, child = os.getpid(), os.fork()
if child == 0:
    os.dup2(theirs.fileno(), 3)
    confine.confine_worker(limits, parent, jail=True)
    text = b"ab\xc3\xa9 12 " * 50000
    regexp.match(rb"(?i)\pL+\d{2,5}$", text)
    regexp.match(rb"(a|b|ab)*c{1,500}(x+x+)+y", text)
    found = len(regexp.find(rb"(?P<w>\w+)|(\s)", text, 1000))
    made = len(regexp.replace(rb"[\p{Greek}a-z]+", text, b"<$0>"))
    for number in range(100):
        regexp.match(b"%d(x|y)*" % number, b"%dxy" % number)
    try:
        regexp.check(b"(")
    except regexp.RegexpError as error:
        os.write(3, f"{found} {made} {error} ".encode())
    os.write(3, casing.to_upper("é".encode()) + b"%d" % casing.equal_fold(b"a\xff", b"A\xff"))
    os._exit(0)
theirs.close()
answer = b""
while part := mine.recv(65536):
    answer += part
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
os.write(1, answer + b" %d" % status)
"""


@pytest.mark.skipif(bool(confine.missing_mechanisms()), reason="workers cannot be confined here")
def test_everything_works_in_a_confined_worker() -> None:
    run = subprocess.run(
        [sys.executable, "-c", CONFINED], capture_output=True, check=False, timeout=60
    )
    expected = "6001 500000 error parsing regexp: missing closing ): `(` É1 0"
    assert (run.stdout.decode(), run.stderr.decode()) == (expected, "")
