"""The modules json, base64 and hex, with what Go's packages say of the same texts."""

from __future__ import annotations

import base64 as python_base64
import json as python_json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strings_library import Char, Strings, TengoError

strings = Strings()


def decode(text: Any) -> str:
    return strings.call("json.decode", text)


def encode(value: Any) -> str:
    return strings.call("json.encode", value)


DECODED = [
    ('{"a":1,"b":1.5,"c":null,"d":[true],"e":"\\u00e9"}',
     '{a: 1, b: 1.5, c: <undefined>, d: [true], e: "é"}'),
    (" [ 1 ,\t2\r\n] ", "[1, 2]"),
    (' { "a" : { } , "b" : [ ] } ', "{a: {}, b: []}"),
    ("1e3", "1000"),
    ("-0", "-0"),
    ("-1.5E-2", "-0.015"),
    ("0", "0"),
    ("1e400", "+Inf"),
    ("9007199254740993", "9007199254740992"),
    ("123456789012345678901234567890", "123456789012345680000000000000"),
    ('{"a":1,"a":null}', "{a: <undefined>}"),
    ('{"a":null,"a":2,"b":null}', "{a: 2, b: <undefined>}"),
    ('"\\"\\\\\\/\\b\\f\\n\\r\\t"', '"\\"\\\\/\\b\\f\\n\\r\\t"'),
    ('"\\ud83d\\ude00\\uD83d\\uDe00"', '"😀😀"'),
    ('"\\ud800x\\udc00\\ud800\\u0041"', '"\ufffdx\ufffd\ufffdA"'),
    ('"a\udcff\udced\udca0\udc80é"', '"a\ufffd\ufffd\ufffd\ufffdé"'),
    ('"\x7f"', '"\\x7f"'),
    ('""', '""'),
    ("false", "false"),
    ("null", "<undefined>"),
    ("[null,null]", "[<undefined>, <undefined>]"),
]  # fmt: skip

BEGINNING = "looking for beginning of value"
BROKEN = [
    ("", "unexpected end of JSON input"),
    ("  ", "unexpected end of JSON input"),
    ("{bad", "invalid character 'b' looking for beginning of object key string"),
    ('{"a":1,}', "invalid character '}' looking for beginning of object key string"),
    ('{"a"}', "invalid character '}' after object key"),
    ('{"a":1]', "invalid character ']' after object key:value pair"),
    ('{"a"', "unexpected end of JSON input"),
    ('{"a":', "unexpected end of JSON input"),
    ("{", "unexpected end of JSON input"),
    ("[1", "unexpected end of JSON input"),
    ("[", "unexpected end of JSON input"),
    ("[1,", "unexpected end of JSON input"),
    ("[1,]", f"invalid character ']' {BEGINNING}"),
    ("[1}", "invalid character '}' after array element"),
    ("]", f"invalid character ']' {BEGINNING}"),
    ("1 2", "invalid character '2' after top-level value"),
    ("[]]", "invalid character ']' after top-level value"),
    ("01", "invalid character '1' after top-level value"),
    ("[01]", "invalid character '1' after array element"),
    ("-", "invalid character ' ' in numeric literal"),
    ("-a", "invalid character 'a' in numeric literal"),
    ("+1", f"invalid character '+' {BEGINNING}"),
    (".5", f"invalid character '.' {BEGINNING}"),
    ("1.", "invalid character ' ' after decimal point in numeric literal"),
    ("1.e5", "invalid character 'e' after decimal point in numeric literal"),
    ("1e", "invalid character ' ' in exponent of numeric literal"),
    ("1e+x", "invalid character 'x' in exponent of numeric literal"),
    ("0x10", "invalid character 'x' after top-level value"),
    ("tru", "invalid character ' ' in literal true (expecting 'e')"),
    ("trux", "invalid character 'x' in literal true (expecting 'e')"),
    ("nil", "invalid character 'i' in literal null (expecting 'u')"),
    ("falsE", "invalid character 'E' in literal false (expecting 'e')"),
    ("NaN", f"invalid character 'N' {BEGINNING}"),
    ('"abc', "unexpected end of JSON input"),
    ('"\\', "invalid character ' ' in string escape code"),
    ('"\\x"', "invalid character 'x' in string escape code"),
    ('"\\\'"', "invalid character '\\'' in string escape code"),
    ('"\\u12', "invalid character ' ' in \\u hexadecimal character escape"),
    ('"\\u12g4"', "invalid character 'g' in \\u hexadecimal character escape"),
    ('"a\nb"', "invalid character '\\n' in string literal"),
    ('"\x00"', "invalid character '\\x00' in string literal"),
    ("'", f"invalid character '\\'' {BEGINNING}"),
    ('["a""b"]', "invalid character '\"' after array element"),
    ("é", f"invalid character 'Ã' {BEGINNING}"),
    ("\x0b1", f"invalid character '\\v' {BEGINNING}"),
    ("1\x00", "invalid character '\\x00' after top-level value"),
    ("[\x00", f"invalid character '\\x00' {BEGINNING}"),
    ("[" * 100_000, "exceeded max depth"),
    ('{"a":' * 100_000, "exceeded max depth"),
]


@pytest.mark.parametrize(("text", "shown"), DECODED)
def test_decoding(text: str, shown: str) -> None:
    assert decode(text) == shown
    assert decode(text.encode("utf-8", "surrogateescape")) == shown


@pytest.mark.parametrize(("text", "problem"), BROKEN)
def test_what_is_no_json_is_an_error_value(text: str, problem: str) -> None:
    error = strings.modules["json"][b"decode"](1, strings.value(text))
    assert error[1] == strings.T[b"ERROR"]
    assert error[2].decode() == problem


def test_every_number_becomes_a_float() -> None:
    assert strings.format("%T %T", 1, 1.0) == "int float"
    module = strings.modules["json"]
    assert isinstance(module[b"decode"](1, b"1"), float)
    assert isinstance(module[b"decode"](1, b"0"), float)


def test_nesting_up_to_the_limit() -> None:
    assert decode("[" * 10_000 + "]" * 10_000).count("[") == 10_000


ENCODED: list[tuple[Any, str]] = [
    ([1, 1.0, 1.5, 1e21, 1e-7, True, None, Char("a"), "x", b"hi", []],
     '[1,1,1.5,1e+21,1e-7,true,null,97,"x","aGk=",[]]'),
    ({"b": {"y": 1, "x": []}, "a": None}, '{"a":null,"b":{"x":[],"y":1}}'),
    ({}, "{}"),
    ([1e20, 1e-6, 1.5e-10, -1e100, 123456789.0],
     "[100000000000000000000,0.000001,1.5e-10,-1e+100,123456789]"),
    (-0.0, "-0"),
    ('é"\\\n\r\t\x00\x1f\x7f\b</\u2028', '"é\\"\\\\\\n\\r\\t\\u0000\\u001f\x7f\\u0008</\u2028"'),
    ("\udcff", '"\udcff"'),
    ({'k"': 1}, '{"k\\"":1}'),
    (-(2**63), str(-(2**63))),
    (b"", '""'),
]  # fmt: skip


@pytest.mark.parametrize(("value", "text"), ENCODED)
def test_encoding(value: Any, text: str) -> None:
    assert encode(value) == text


def test_encoding_of_other_values() -> None:
    T = strings.T
    function = T[b"user_function"](strings.modules["json"][b"encode"])
    assert encode(function) == ""
    assert encode([function, 1]) == "[,1]"
    assert encode(T[b"error"](b"x")) == ""
    assert encode(T[b"immutable"](strings.value({"a": [1]}))) == '{"a":[1]}'
    assert encode(T[b"slice"](strings.value([1, 2, 3]), 1, None)) == "[2,3]"
    for number in (math.nan, math.inf, [1, {"a": -math.inf}]):
        assert encode(number) == 'error: "unsupported float value"'


TIMES = [
    ((0, 0, 0, b"UTC"), '"1970-01-01T00:00:00Z"'),
    ((1_700_000_000, 120_000_000, 7200, b"X"), '"2023-11-15T00:13:20.12+02:00"'),
    ((1_700_000_000, 1, -5400, b""), '"2023-11-14T20:43:20.000000001-01:30"'),
    ((-62_135_596_800, 0, 0, b"UTC"), '"0001-01-01T00:00:00Z"'),
    ((253_402_300_800, 0, 0, b"UTC"), 'error: "Time.MarshalJSON: year outside of range [0,9999]"'),
]


@pytest.mark.parametrize(("time", "text"), TIMES)
def test_encoding_of_times(time: tuple[Any, ...], text: str) -> None:
    assert encode(strings.T[b"time"](*time)) == text


def test_values_that_contain_themselves() -> None:
    array = strings.value([1])
    array[2][1] = array
    with pytest.raises(TengoError, match="contains itself"):
        encode(array)
    made = strings.value({"a": 1})
    made[b"a"] = made
    with pytest.raises(TengoError, match="contains itself"):
        encode(made)


INDENTED = [
    ('{"foo":["bar",1,{},[] ,1.8]}\n ', "", "  ",
     '{\n  "foo": [\n    "bar",\n    1,\n    {},\n    [],\n    1.8\n  ]\n}\n '),
    (' [ ]', ">", "\t", "[]"),
    ('{"a,b:{":"\\"]"}', ">", "\t", '{\n>\t"a,b:{": "\\"]"\n>}'),
    ("1 ", "", "", "1 "),
    ("[true,null]", "", "", "[\ntrue,\nnull\n]"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "prefix", "indent", "result"), INDENTED)
def test_indenting(text: str, prefix: str, indent: str, result: str) -> None:
    assert strings.call("json.indent", text, prefix, indent) == result


def test_indenting_what_is_no_json() -> None:
    assert strings.call("json.indent", "{", "", " ") == 'error: "unexpected end of JSON input"'


def test_escaping_html() -> None:
    text = b'{"M":"<html>foo &\xe2\x80\xa8 \xe2\x80\xa9</html>"}'
    escaped = '{"M":"\\u003chtml\\u003efoo \\u0026\\u2028 \\u2029\\u003c/html\\u003e"}'
    assert strings.call("json.html_escape", text) == escaped


CALL = " in call to 'user-function:': expected "
TYPES: list[tuple[str, tuple[Any, ...], str]] = [
    ("json.decode", (5,), f"argument 'first'{CALL}bytes/string, found int"),
    ("json.decode", (None,), f"argument 'first'{CALL}bytes/string, found undefined"),
    ("json.indent", ({}, "", ""), f"argument 'first'{CALL}bytes/string, found map"),
    ("json.indent", ("", None, ""), f"argument 'prefix'{CALL}string(compatible), found undefined"),
    ("json.indent", (5, "", None), f"argument 'indent'{CALL}string(compatible), found undefined"),
    ("json.html_escape", (5,), f"argument 'first'{CALL}bytes/string, found int"),
    ("base64.encode", (5,), f"argument 'first'{CALL}bytes(compatible), found int"),
    ("base64.decode", (None,), f"argument 'first'{CALL}string(compatible), found undefined"),
    ("hex.encode", ([],), f"argument 'first'{CALL}bytes(compatible), found array"),
]


@pytest.mark.parametrize(("name", "arguments", "message"), TYPES)
def test_types_of_arguments(name: str, arguments: tuple[Any, ...], message: str) -> None:
    assert strings.outcome(name, *arguments) == f"fails: invalid type for {message}"


@pytest.mark.parametrize("name", ["decode", "encode", "indent", "html_escape"])
def test_every_function_counts_its_arguments(name: str) -> None:
    for arguments in ((), ("a",) * 4):
        message = strings.outcome(f"json.{name}", *arguments)
        assert message == "fails: wrong number of arguments in call to 'user-function:'"


letters = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
plain = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False)
    | letters,
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(letters, inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(plain, st.sampled_from([None, 1]), st.booleans())
def test_what_is_written_is_read_as_the_same(value: Any, indent: int | None, ascii: bool) -> None:
    written = encode(value)
    assert python_json.loads(written, parse_int=float) == value
    text = python_json.dumps(value, indent=indent, ensure_ascii=ascii)
    read = strings.modules["json"][b"decode"](1, text.encode())
    if isinstance(read, bytes):  # a Tengo string
        read = read.decode()
    assert python_json.loads(encode(read), parse_int=float) == value


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from('{}[]",:0123.eE-+tfn \\u\n'), max_size=12))
def test_only_json_is_read(text: str) -> None:
    try:
        python_json.loads(text, parse_constant=lambda _: 1 / 0)
        good = True
    except (ValueError, ZeroDivisionError):
        good = False
    assert (not decode(text).startswith("error: ")) == good
    indented = strings.call("json.indent", text, "", "")
    assert (not indented.startswith("error: ")) == good


# From Go's own list of texts that are no base64: the offset of the byte that is wrong.
NO_BASE64 = [
    ("!!!!", 0), ("====", 0), ("x===", 1), ("=AAA", 0), ("A=AA", 1), ("AA=A", 2), ("AA==A", 4),
    ("AAA=AAAA", 4), ("AAAAA", 4), ("AAAAAA", 4), ("A=", 1), ("A==", 1), ("AA=", 3), ("AA=\n", 4),
    ("AA==\n=", 5), ("AAAAAA=", 7), ("YWJjZA=====", 8), ("aGVsb!8=", 5),
]  # fmt: skip


@pytest.mark.parametrize(("text", "offset"), NO_BASE64)
def test_what_is_no_base64_is_an_error_value(text: str, offset: int) -> None:
    error = f'error: "illegal base64 data at input byte {offset}"'
    assert strings.call("base64.decode", text) == error


def test_base64_skips_line_ends() -> None:
    for text in ("aGVsbG8=\n", "aGVs\r\nbG8=", "aGVsbG8\n=", "a\nG\nV\ns\nbG8="):
        assert strings.call("base64.decode", text) == "hello"
    assert strings.call("base64.decode", "\n") == ""


def test_base64_without_padding() -> None:
    assert strings.call("base64.raw_decode", "aGVsbG8") == "hello"
    error = 'error: "illegal base64 data at input byte {}"'
    assert strings.call("base64.raw_decode", "aGVsbG8=") == error.format(7)
    assert strings.call("base64.raw_decode", "aGVsb") == error.format(4)
    assert strings.call("base64.decode", "-_8=") == error.format(0)
    assert strings.call("base64.url_decode", "+/8=") == error.format(0)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=40))
def test_base64_and_hex_are_those_of_python(data: bytes) -> None:
    module = strings.modules
    for prefix, encode_with in (("", "b64encode"), ("url_", "urlsafe_b64encode")):
        padded = getattr(python_base64, encode_with)(data)
        base64 = module["base64"]
        assert base64[f"{prefix}encode".encode()](1, data) == padded
        assert base64[f"{prefix}decode".encode()](1, padded)[2] == data
        raw = padded.rstrip(b"=")
        assert base64[f"raw_{prefix}encode".encode()](1, strings.value(data)) == raw
        assert base64[f"raw_{prefix}decode".encode()](1, raw)[2] == data
    assert module["hex"][b"encode"](1, data) == data.hex().encode()
    assert module["hex"][b"decode"](1, data.hex().upper().encode())[2] == data


NO_HEX = [
    ("zz", "invalid byte: U+007A 'z'"),
    ("0g", "invalid byte: U+0067 'g'"),
    ("012g", "invalid byte: U+0067 'g'"),
    ("0\udcff", "invalid byte: U+00FF 'ÿ'"),
    ("0\n", "invalid byte: U+000A"),
    ("0", "odd length hex string"),
    ("z", "invalid byte: U+007A 'z'"),
]


@pytest.mark.parametrize(("text", "problem"), NO_HEX)
def test_what_is_no_hexadecimal_is_an_error_value(text: str, problem: str) -> None:
    assert strings.call("hex.decode", text) == f'error: "encoding/hex: {problem}"'
