"""The module text, with results from the documentation of Go's strings and strconv."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strings_library import Char, Strings

strings = Strings()
MIN, MAX = -(2**63), 2**63 - 1

CASES: list[tuple[str, tuple[Any, ...], str]] = [
    # Searching.
    ("compare", ("a", "b"), "-1"),
    ("compare", ("a", "a"), "0"),
    ("compare", ("b", "a"), "1"),
    ("compare", ("abcdf", "abcde"), "1"),
    ("compare", ("\udcff", "é"), "1"),
    ("contains", ("seafood", "foo"), "true"),
    ("contains", ("seafood", "a.*d"), "false"),
    ("contains", ("", ""), "true"),
    ("contains_any", ("failure", "ui"), "true"),
    ("contains_any", ("foo", ""), "false"),
    ("contains_any", ("xéy", "zé"), "true"),
    ("contains_any", ("a]b^", "^]"), "true"),
    ("count", ("cheese", "e"), "3"),
    ("count", ("five", ""), "5"),
    ("count", ("hé", ""), "3"),
    ("count", ("aaaa", "aa"), "2"),
    ("equal_fold", ("Go", "GO"), "true"),
    ("equal_fold", ("Straße", "STRAẞE"), "true"),
    ("equal_fold", ("\u212a", "k"), "true"),
    ("equal_fold", ("ı", "i"), "false"),
    ("equal_fold", ("ΣΑΣ", "σας"), "true"),
    ("equal_fold", ("a", "ab"), "false"),
    ("has_prefix", ("Gopher", "Go"), "true"),
    ("has_prefix", ("Gopher", "C"), "false"),
    ("has_prefix", ("Gopher", ""), "true"),
    ("has_suffix", ("Amigo", "go"), "true"),
    ("has_suffix", ("Amigo", ""), "true"),
    ("has_suffix", ("go", "Amigo"), "false"),
    ("index", ("chicken", "ken"), "4"),
    ("index", ("chicken", "dmr"), "-1"),
    ("index", ("héllo", "l"), "3"),
    ("index", ("x", ""), "0"),
    ("index_any", ("golang", "gy"), "0"),
    ("index_any", ("golang", "ny"), "4"),
    ("index_any", ("xxé", "é"), "2"),
    ("index_any", ("golang", ""), "-1"),
    ("index_any", ("a%b", "%"), "1"),
    ("last_index", ("go gopher", "go"), "3"),
    ("last_index", ("go gopher", "rodent"), "-1"),
    ("last_index", ("go", ""), "2"),
    ("last_index_any", ("go gopher", "go"), "4"),
    ("last_index_any", ("go gopher", "MN"), "-1"),
    ("last_index_any", ("éaéb", "é"), "3"),
    # Pieces.
    ("fields", ("  foo bar  baz   ",), '["foo", "bar", "baz"]'),
    ("fields", ("a\u00a0b\u3000c\u2028d\u0085e",), '["a", "b", "c", "d", "e"]'),
    ("fields", ("aéb ü",), '["aéb", "ü"]'),
    ("fields", (" ",), "[]"),
    ("split", ("a,b,c", ","), '["a", "b", "c"]'),
    ("split", (" xyz ", ""), '[" ", "x", "y", "z", " "]'),
    ("split", ("hé", ""), '["h", "é"]'),
    ("split", ("", "Bernardo"), '[""]'),
    ("split", ("", ""), "[]"),
    ("split", ("a--b", "-"), '["a", "", "b"]'),
    ("split_n", ("a,b,c", ",", 2), '["a", "b,c"]'),
    ("split_n", ("a,b,c", ",", 0), "[]"),
    ("split_n", ("a,b,c", ",", -1), '["a", "b", "c"]'),
    ("split_n", ("héy", "", 2), '["h", "éy"]'),
    ("split_after", ("a,b,c", ","), '["a,", "b,", "c"]'),
    ("split_after_n", ("a,b,c", ",", 2), '["a,", "b,c"]'),
    ("join", (["foo", "bar", "baz"], ", "), '"foo, bar, baz"'),
    ("join", ([1, 2.5, True, Char("x")], "-"), '"1-2.5-true-x"'),
    ("join", ([], "-"), '""'),
    ("substr", ("héllo", 1, 3), '"é"'),
    ("substr", ("abc", 1), '"bc"'),
    ("substr", ("abc", -5, 99), '"abc"'),
    ("substr", ("abc", -5, -2), '""'),
    ("substr", ("abc", 5, 9), '""'),
    # Changing.
    ("title", ("her royal highness",), '"Her Royal Highness"'),
    ("title", ("don't 9abc _x foo-bar",), '"Don\'T 9abc _x Foo-Bar"'),
    ("title", ("été хлеб",), '"Été Хлеб"'),
    ("title", ("a€b",), '"A€b"'),
    ("to_lower", ("GoÀ",), '"goà"'),
    ("to_lower", ("ΑΣ",), '"ασ"'),
    ("to_upper", ("é",), '"É"'),
    ("to_upper", ("straße",), '"STRAßE"'),
    ("to_upper", ("ŉﬁ",), '"ŉﬁ"'),
    ("to_upper", ("ᾳ",), '"ᾼ"'),
    ("to_upper", ("\udcffé",), '"\ufffdÉ"'),
    ("to_title", ("ǆ хлеб",), '"ǅ ХЛЕБ"'),
    ("trim", ("xxaxx", "x"), '"a"'),
    ("trim", ("¡¡¡Hello, Gophers!!!", "!¡"), '"Hello, Gophers"'),
    ("trim", ("aaa", "a"), '""'),
    ("trim", ("a", ""), '"a"'),
    ("trim_left", ("xxax", "x"), '"ax"'),
    ("trim_right", ("xaéé", "é"), '"xa"'),
    ("trim_prefix", ("Gopher", "Go"), '"pher"'),
    ("trim_prefix", ("Gopher", "x"), '"Gopher"'),
    ("trim_suffix", ("Gopher", "pher"), '"Go"'),
    ("trim_suffix", ("Gopher", ""), '"Gopher"'),
    ("trim_space", (" \t\n a b \r\v\f",), '"a b"'),
    ("trim_space", ("\u3000\u00a0é \u2003",), '"é"'),
    ("trim_space", ("  ",), '""'),
    ("repeat", ("na", 2), '"nana"'),
    ("repeat", ("", 2**62), '""'),
    ("repeat", ("x", 0), '""'),
    ("replace", ("oink oink oink", "k", "ky", 2), '"oinky oinky oink"'),
    ("replace", ("oink oink oink", "oink", "moo", -1), '"moo moo moo"'),
    ("replace", ("héy", "", "-", -1), '"-h-é-y-"'),
    ("replace", ("abc", "", "-", 2), '"-a-bc"'),
    ("replace", ("", "", "x", -1), '"x"'),
    ("replace", ("a.b", ".", "%1", -1), '"a%1b"'),
    ("replace", ("aaa", "a", "a", 1), '"aaa"'),
    ("replace", (5, "5", "b", 1), '"b"'),
    ("pad_left", ("5", 3, "0"), '"005"'),
    ("pad_left", ("x", 6, "abc"), '"bcabcx"'),
    ("pad_left", ("abc", 2), '"abc"'),
    ("pad_left", ("abc", 5, ""), '"abc"'),
    ("pad_right", ("5", 3), '"5  "'),
    ("pad_right", ("x", 6, "abc"), '"xabcab"'),
    # Numbers.
    ("atoi", ("-42",), "-42"),
    ("atoi", ("+7",), "7"),
    ("itoa", (MIN,), f'"{MIN}"'),
    ("itoa", (Char("a"),), '"97"'),
    ("format_bool", (True,), '"true"'),
    ("format_float", (1.5, Char("f"), 3, 64), '"1.500"'),
    ("format_float", (-19.84, "f", -1, 64), '"-19.84"'),
    ("format_float", (123456789.0, "g", -1, 64), '"1.23456789e+08"'),
    ("format_float", (1e6, "G", -1, 64), '"1E+06"'),
    ("format_float", (1 / 3, "g", -1, 32), '"0.33333334"'),
    ("format_float", (0.1, "e", -1, 32), '"1e-01"'),
    ("format_float", (1e39, "f", -1, 32), '"+Inf"'),
    ("format_float", (1.0, "b", -1, 32), '"8388608p-23"'),
    ("format_float", (0.0, "e", -1, 64), '"0e+00"'),
    ("format_float", (-0.0, "g", -1, 64), '"-0"'),
    ("format_float", (math.nan, "g", -1, 64), '"NaN"'),
    ("format_float", (1.0, "z", -1, 64), '"%z"'),
    ("format_int", (-1984, 10), '"-1984"'),
    ("format_int", (1984, 8), '"3700"'),
    ("format_int", (MIN, 2), f'"-1{"0" * 63}"'),
    ("format_int", (MIN, 36), '"-1y2p0ij32e8e8"'),
    ("format_int", (35, 36), '"z"'),
    ("format_int", (0, 7), '"0"'),
    ("parse_bool", ("T",), "true"),
    ("parse_bool", ("False",), "false"),
    ("parse_float", ("-19.84", 64), "-19.84"),
    ("parse_float", ("1_23.50_0_0e+1_2", 64), "123500000000000"),
    ("parse_float", ("0x1p-2", 64), "0.25"),
    ("parse_float", ("0x_1_0p0", 64), "16"),
    ("parse_float", ("-Infinity", 64), "-Inf"),
    ("parse_float", ("1e-400", 64), "0"),
    ("parse_float", ("0.1", 32), "0.10000000149011612"),
    ("parse_int", ("-1984", 10, 64), "-1984"),
    ("parse_int", ("zZ", 36, 64), "1295"),
    ("parse_int", ("0x_1F", 0, 64), "31"),
    ("parse_int", ("-0b11", 0, 0), "-3"),
    ("parse_int", ("0o17", 0, 0), "15"),
    ("parse_int", ("017", 0, 0), "15"),
    ("parse_int", ("0_7", 0, 0), "7"),
    ("parse_int", ("1_000", 0, 0), "1000"),
    ("parse_int", ("0", 0, 0), "0"),
    ("parse_int", ("-128", 10, 8), "-128"),
    ("parse_int", (str(MIN), 10, 64), str(MIN)),
    ("parse_int", (str(MAX), 10, 64), str(MAX)),
    ("quote", ('a"bé\n',), '"\\"a\\\\\\"bé\\\\n\\""'),
    ("unquote", ('"x\\u00e9\\n\\x41\\101"',), '"xé\\nAA"'),
    ("unquote", ("`a\\b`",), '"a\\\\b"'),
    ("unquote", ("'é'",), '"é"'),
    ("unquote", ("'\\''",), '"\'"'),
    ("unquote", ('""',), '""'),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments", "expected"), CASES)
def test_functions(name: str, arguments: tuple[Any, ...], expected: str) -> None:
    assert strings.call(f"text.{name}", *arguments) == expected


NO_QUOTED = [
    *("x", '"', '"\\q"', "'ab'", "''", "\"a'", '"a\nb"', '"\\"', '"a"b"', '"\\ud800"'),
    *('"\\400"', "'\\\"'", '"\\\'"', "`a`b`", '"\\x4"'),
]


@pytest.mark.parametrize("quoted", NO_QUOTED)
def test_what_is_no_quoted_text_is_an_error_value(quoted: str) -> None:
    assert strings.call("text.unquote", quoted) == 'error: "invalid syntax"'


ERROR_VALUES = [
    ("12x", "invalid syntax"),
    ("", "invalid syntax"),
    ("1_0", "invalid syntax"),
    ("9223372036854775808", "value out of range"),
]


@pytest.mark.parametrize(("digits", "problem"), ERROR_VALUES)
def test_what_atoi_cannot_read_is_an_error_value(digits: str, problem: str) -> None:
    text = strings.call("text.atoi", digits)
    assert text == f'error: "strconv.Atoi: parsing \\"{digits}\\": {problem}"'


FAULTS: list[tuple[str, tuple[Any, ...], str]] = [
    ("parse_bool", ("yes",), 'strconv.ParseBool: parsing "yes": invalid syntax'),
    ("parse_float", ("1__0", 64), 'strconv.ParseFloat: parsing "1__0": invalid syntax'),
    ("parse_float", ("1e400", 64), 'strconv.ParseFloat: parsing "1e400": value out of range'),
    ("parse_float", ("3.5e38", 32), 'strconv.ParseFloat: parsing "3.5e38": value out of range'),
    ("parse_int", ("", 10, 64), 'strconv.ParseInt: parsing "": invalid syntax'),
    ("parse_int", ("1_0", 10, 64), 'strconv.ParseInt: parsing "1_0": invalid syntax'),
    ("parse_int", ("1__0", 0, 64), 'strconv.ParseInt: parsing "1__0": invalid syntax'),
    ("parse_int", ("_1", 0, 64), 'strconv.ParseInt: parsing "_1": invalid syntax'),
    ("parse_int", ("1\n", 10, 64), 'strconv.ParseInt: parsing "1\\n": invalid syntax'),
    ("parse_int", ("128", 10, 8), 'strconv.ParseInt: parsing "128": value out of range'),
    ("parse_int", ("-129", 10, 8), 'strconv.ParseInt: parsing "-129": value out of range'),
    ("parse_int", (str(MAX + 1), 10, 64),
     f'strconv.ParseInt: parsing "{MAX + 1}": value out of range'),
    ("parse_int", ("f" * 17, 16, 64),
     f'strconv.ParseInt: parsing "{"f" * 17}": value out of range'),
    ("parse_int", ("1", 37, 64), 'strconv.ParseInt: parsing "1": invalid base 37'),
    ("parse_int", ("1", 10, 65), 'strconv.ParseInt: parsing "1": invalid bit size 65'),
    ("format_int", (1, 1), "strconv: illegal AppendInt/FormatInt base"),
    ("format_float", (1.0, "f", 1, 16), "strconv: illegal AppendFloat/FormatFloat bitSize"),
    ("format_float", (1.0, "", 1, 64), "runtime error: index out of range [0] with length 0"),
    ("repeat", ("a", -1), "strings: negative Repeat count"),
    ("repeat", ("ab", 2**30), "exceeding string size limit"),
    ("repeat", ("ab", MAX), "exceeding string size limit"),
    ("pad_left", ("a", 2**31), "exceeding string size limit"),
    ("pad_left", ("", 5, "ab"), "runtime error: slice bounds out of range [-1:]"),
    ("pad_right", ("", 5, "ab"), "runtime error: slice bounds out of range [:5] with length 4"),
    ("substr", ("abc", 2, 1), "invalid index type"),
    ("substr", ("abc", 4), "invalid index type"),
]  # fmt: skip

CALL = " in call to 'user-function:': expected "
TYPES: list[tuple[str, tuple[Any, ...], str]] = [
    ("contains", (None, "a"), f"argument 'first'{CALL}string(compatible), found undefined"),
    ("contains", ("a", None), f"argument 'second'{CALL}string(compatible), found undefined"),
    ("split", ("a", None), f"argument 'first'{CALL}string(compatible), found undefined"),
    ("index", ("a", None), f"argument 'second'{CALL}string(compatible), found string"),
    ("trim", ("a", None), f"argument 'second'{CALL}string(compatible), found undefined"),
    ("split_n", ("a", ",", "x"), f"argument 'third'{CALL}int(compatible), found string"),
    ("split_n", ("a", None, 1), f"argument 'second'{CALL}string(compatible), found undefined"),
    ("join", ("x", ","), f"argument 'first'{CALL}array, found string"),
    ("join", (["a", None], ","), f"argument 'first[1]'{CALL}string(compatible), found undefined"),
    ("join", ([], None), f"argument 'second'{CALL}string(compatible), found undefined"),
    ("replace", ("a", "b", "c", []), f"argument 'fourth'{CALL}int(compatible), found array"),
    ("repeat", ("a", None), f"argument 'second'{CALL}int(compatible), found undefined"),
    ("substr", ("a", 0, "x"), f"argument 'third'{CALL}int(compatible), found string"),
    ("pad_left", ("a", 5, None), f"argument 'third'{CALL}string(compatible), found undefined"),
    ("format_bool", (1,), f"argument 'first'{CALL}bool, found int"),
    ("format_float", (1, "f", 1, 64), f"argument 'first'{CALL}float, found int"),
    ("format_int", (1.0, 10), f"argument 'first'{CALL}int, found float"),
    ("parse_bool", (True,), f"argument 'first'{CALL}string, found bool"),
    ("parse_float", (1.0, 64), f"argument 'first'{CALL}string, found float"),
    ("parse_int", (1, 10, 64), f"argument 'first'{CALL}string, found int"),
    ("parse_int", ("1", "x", 64), f"argument 'second'{CALL}int(compatible), found string"),
]


@pytest.mark.parametrize(("name", "arguments", "message"), FAULTS)
def test_faults(name: str, arguments: tuple[Any, ...], message: str) -> None:
    assert strings.outcome(f"text.{name}", *arguments) == f"fails: {message}"


@pytest.mark.parametrize(("name", "arguments", "message"), TYPES)
def test_types_of_arguments(name: str, arguments: tuple[Any, ...], message: str) -> None:
    assert strings.outcome(f"text.{name}", *arguments) == f"fails: invalid type for {message}"


NAMES = [
    "re_match", "re_find", "re_replace", "re_split", "re_compile", "compare", "contains",
    "contains_any", "count", "equal_fold", "fields", "has_prefix", "has_suffix", "index",
    "index_any", "join", "last_index", "last_index_any", "repeat", "replace", "substr",
    "split", "split_after", "split_after_n", "split_n", "title", "to_lower", "to_title",
    "to_upper", "pad_left", "pad_right", "trim", "trim_left", "trim_prefix", "trim_right",
    "trim_space", "trim_suffix", "atoi", "format_bool", "format_float", "format_int", "itoa",
    "parse_bool", "parse_float", "parse_int", "quote", "unquote",
]  # fmt: skip


def test_the_module_is_complete() -> None:
    assert sorted(name.decode() for name in strings.modules["text"]) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_function_counts_its_arguments(name: str) -> None:
    for arguments in ((), ("a",) * 5):
        message = strings.outcome(f"text.{name}", *arguments)
        assert message == "fails: wrong number of arguments in call to 'user-function:'"


texts = st.text(st.sampled_from("ab é,\u3000"), max_size=12)


@settings(max_examples=200, deadline=None)
@given(texts, st.text(st.sampled_from("ab é,\u3000"), min_size=1, max_size=3))
def test_splitting_and_searching_are_those_of_python(text: str, part: str) -> None:
    pieces = "[" + ", ".join(strings.call("text.quote", piece)[1:-1].replace('\\"', '"')
                             for piece in text.split(part)) + "]"  # fmt: skip
    assert strings.call("text.split", text, part).replace("\\\\", "\\") == pieces
    encoded = text.encode()
    assert strings.call("text.index", text, part) == str(encoded.find(part.encode()))
    assert strings.call("text.last_index", text, part) == str(encoded.rfind(part.encode()))
    assert strings.call("text.count", text, part) == str(text.count(part))
    shown = strings.call("text.fields", text)
    assert shown == "[" + ", ".join(f'"{word}"' for word in text.split()) + "]"
    assert strings.call("text.trim_space", text) == strings.call("text.substr", text.strip(), 0)
    assert strings.call("text.trim", text, part) == strings.call("text.substr", text.strip(part), 0)


@settings(max_examples=200, deadline=None)
@given(st.integers(MIN, MAX), st.integers(2, 36))
def test_ints_of_any_base_are_read_back(value: int, base: int) -> None:
    text = strings.call("text.format_int", value, base).strip('"')
    assert int(text, base) == value
    assert strings.call("text.parse_int", text, base, 64) == str(value)
