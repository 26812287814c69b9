"""The verbs of format() and fmt, with results from Go's documentation and from Tengo itself."""

from __future__ import annotations

import math
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strings_library import Char, Strings, TengoError

strings = Strings()
INF, NAN = math.inf, math.nan
MIN = -(2**63)

CASES: list[tuple[str, tuple[Any, ...], str]] = [
    # Tengo's own ways: %v by the value's text, types by name, faults by values.
    ("%v %v %v", (1.0, {"a": 1}, None), "1 {a: 1} <undefined>"),
    ("%v", ("x",), '"x"'),
    ("%v", (1e21,), "1000000000000000000000"),
    ("%v %v", (Char("é"), b"hi"), "é hi"),
    ("%d", ("x",), '%!d("x"="x")'),
    ("%5d|", ("x",), '%!d("x"=  "x")|'),
    ("%s", (5,), "%!s(5=5)"),
    ("%d", (True,), "%!d(true=true)"),
    ("%d", (Char("a"),), "%!d(a=a)"),
    ("%z", (1,), "%!z(1=1)"),
    ("%é", (1,), "%!é(1=1)"),
    ("%d", (None,), "%!d(<undefined>=<undefined>)"),
    ("x", (1, "a"), 'x%!(EXTRA int=1, string="a")'),
    ("%T %T %T %T", (1, 1.5, "", [1]), "int float string array"),
    ("%6T|%-6T|", (1, 1), "   int|int   |"),
    ("%s %q %x", (Char("é"), Char("é"), Char("é")), 'é "é" c3a9'),
    ("%s", ([1, "a"],), '[1, "a"]'),
    ("%5.1v|", ("abc",), '    "|'),
    # Faults of the format.
    ("%", (), "%!(NOVERB)"),
    ("%", (1,), "%!(NOVERB)%!(EXTRA int=1)"),
    ("%5", (), "%!(NOVERB)"),
    ("%d %d", (1,), "1 %!d(MISSING)"),
    ("%[2]d %[1]d", (1, 2), "2 1"),
    ("%[2]d", (1, 2), "2"),
    ("%[3]d", (1,), "%!d(BADINDEX)"),
    ("%[0]d", (1,), "%!d(BADINDEX)"),
    ("%[x]d", (1,), "%!d(BADINDEX)"),
    ("%[]d", (1,), "%!d(BADINDEX)"),
    ("%[d", (1,), "%!d(BADINDEX)"),
    ("%[1]2d", (1,), "%!d(BADINDEX)"),
    ("%[1].2d", (1,), "%!d(BADINDEX)"),
    ("%[2]*[1]d|", (2, 5), "    2|"),
    ("%6.[2]d", (1, 2), "     2"),
    ("%*d|%-*d|", (5, 1, 5, 1), "    1|1    |"),
    ("%*d|", (-5, 1), "1    |"),
    ("%*d|", ("5", 1), "    1|"),
    ("%*d", ("x", 1), "%!(BADWIDTH)1"),
    ("%*d", (10_000_000, 1), "%!(BADWIDTH)1"),
    ("%.*d", (-1, 1), "%!(BADPREC)1"),
    ("%.*f", (2, math.pi), "3.14"),
    ("%%|%5%|", (), "%|%|"),
    ("100%", (), "100%!(NOVERB)"),
    ("%99999999999d", (1,), "%!(NOVERB)%!(EXTRA int=1)"),
    # Integers.
    ("%d|%5d|%-5d|%05d", (42, 42, 42, 42), "42|   42|42   |00042"),
    ("%+d|% d|%+d", (42, 42, -42), "+42| 42|-42"),
    ("%05d|%+05d|% 05d", (-42, 42, 42), "-0042|+0042| 0042"),
    ("%.3d|%6.3d|%-6.3d|%06.3d", (7, 7, 7, 7), "007|   007|007   |   007"),
    ("%.0d|%.d|%3.0d|", (0, 0, 0), "||   |"),
    ("%-05d|", (42,), "42   |"),
    ("%x|%X|%#x|%#X|%x", (255, 255, 255, 255, -255), "ff|FF|0xff|0XFF|-ff"),
    ("%o|%#o|%O|%#o", (8, 8, 8, 0), "10|010|0o10|0"),
    ("%b|%#b|%b", (5, 5, -5), "101|0b101|-101"),
    ("%d %x %b", (MIN, MIN, MIN), f"{MIN} -8000000000000000 -1{'0' * 63}"),
    ("%c|%3c|%-3c|%c|%c", (65, 65, 65, 0x1F600, -1), "A|  A|A  |😀|\ufffd"),
    ("%q %q %q %q", (65, 39, 10, 0x1F600), "'A' '\\'' '\\n' '😀'"),
    ("%+q %q", (233, 0xD800), "'\\u00e9' '\ufffd'"),
    ("%q", (-1,), "%!q(-1=-1)"),
    ("%U %#U %.6U %9U", (0x78, 0x1F600, 0x78, 0x78), "U+0078 U+1F600 '😀' U+000078    U+0078"),
    ("%U %#U", (-1, 10), "U+FFFFFFFFFFFFFFFF U+000A"),
    # Strings.
    ("%s|%5s|%-5s|%05s", ("é", "é", "é", "é"), "é|    é|é    |0000é"),
    ("%.2s|%.9s|%.0s|", ("héllo", "hé", "hé"), "hé|hé||"),
    ("%q|%+q|%#q|%#q", ("é\n", "é\n", "a\\b", "a`b"), '"é\\n"|"\\u00e9\\n"|`a\\b`|"a`b"'),
    ("%x|%X|% x|%#x|% #x|% X", ("xyz",) * 6,
     "78797a|78797A|78 79 7a|0x78797a|0x78 0x79 0x7a|78 79 7A"),
    ("%.2x|%8x|%-8x|%3x|", ("xyz", "xyz", "xyz", ""), "7879|  78797a|78797a  |   |"),
    ("%s|%x|%q|%d", (b"hi", b"hi", b"hi", b"hi"), 'hi|6869|"hi"|[104 105]'),
    ("%4d|%d", (b"\1\2", b""), "[   1    2]|[]"),
    ("%z", (b"hi",), ""),
    ("%q", ("\udcff\x00\x7f\xa0",), '"\\xff\\x00\\x7f\\u00a0"'),
    # Booleans.
    ("%t|%v|%6t|%-6t|", (True, False, True, False), "true|false|  true|false |"),
    # Floats.
    ("%f|%.2f|%8.2f|%-8.2f|%08.2f", (1.5,) * 5,
     "1.500000|1.50|    1.50|1.50    |00001.50"),
    ("%+.1f|% .1f|%08.3f|%+08.3f", (1.0, 1.0, -math.pi, math.pi), "+1.0| 1.0|-003.142|+003.142"),
    ("%e|%E|%.3e|%.0e", (1234.5678, 1e-7, 1234.5678, 1500.0),
     "1.234568e+03|1.000000E-07|1.235e+03|2e+03"),
    ("%g|%g|%g|%g", (100000.0, 1e6, 1e-4, 1e-5), "100000|1e+06|0.0001|1e-05"),
    ("%G|%.3g|%.10g", (1e-7, 1234.5678, 100000.0), "1E-07|1.23e+03|100000"),
    ("%g|%g|%g", (1e21, 123456789.0, 0.0), "1e+21|1.23456789e+08|0"),
    ("%#g|%#.3f|%#.0f", (1.0, 1.0, 1.0), "1.00000|1.000|1."),
    ("%F", (1.5,), "1.500000"),
    ("%x|%X|%.0x|%.1x|%.3x", (1.5, -1.25, 1.0, 1.96875, 1.0),
     "0x1.8p+00|-0X1.4P+00|0x1p+00|0x1.0p+01|0x1.000p+00"),
    ("%x|%x", (5e-324, 0.0), "0x1p-1074|0x0p+00"),
    ("%b|%b", (1.0, 5e-324), "4503599627370496p-52|1p-1074"),
    ("%f|%+f|%08f|%-6f|%f", (INF, INF, INF, -INF, NAN), "+Inf|+Inf|    +Inf|-Inf  |NaN"),
    ("%+f|%5g|", (NAN, NAN), "+NaN|  NaN|"),
    ("%d", (1.0,), "%!d(1=1)"),
    ("%.0f|%.0f|%.0f", (0.5, 1.5, 2.5), "0|2|2"),
    ("%.120f", (0.1,), "0.1000000000000000055511151231257827021181583404541015625" + "0" * 65),
    ("%s", ("é\ud83d".encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape"),),
     "é\udced\udca0\udcbd"),
]  # fmt: skip


@pytest.mark.parametrize(("template", "arguments", "expected"), CASES)
def test_verbs(template: str, arguments: tuple[Any, ...], expected: str) -> None:
    assert strings.format(template, *arguments) == expected


def test_long_texts_are_kept() -> None:
    assert strings.format("%s%d" * 500, *["ab", 7] * 500) == "ab7" * 500
    assert strings.format("%d", b"\x07" * 1000) == "[" + " ".join(["7"] * 1000) + "]"


finite = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=200, deadline=None)
@given(finite)
def test_shortest_digits_read_back(x: float) -> None:
    for verb in "eg":
        assert float(strings.format(f"%{verb}" if verb == "g" else "%.17e", x)) == x
    assert float.fromhex(strings.format("%x", x)) == x


@settings(max_examples=200, deadline=None)
@given(finite, st.integers(0, 40), st.sampled_from("eEf"))
def test_precisions_are_those_of_c(x: float, precision: int, verb: str) -> None:
    assert strings.format(f"%.{precision}{verb}", x) == f"%.{precision}{verb}" % x


@settings(max_examples=200, deadline=None)
@given(st.integers(MIN, -MIN - 1), st.sampled_from("dxXo"), st.sampled_from(["", "+", "20", "-20"]))
def test_integers_are_those_of_python(x: int, verb: str, flags: str) -> None:
    assert strings.format(f"%{flags}{verb}", x) == f"%{flags}{verb}" % x


@settings(max_examples=200, deadline=None)
@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_floats_of_32_bits_are_as_short_as_can_be(x: float) -> None:
    text = strings.call("text.format_float", x, "e", -1, 32).strip('"')

    def read_back(digits: str) -> bytes:
        return struct.pack("f", float(digits))

    assert read_back(text) == struct.pack("f", x)
    shown = len(text.lstrip("-").split("e")[0].replace(".", ""))
    if shown > 1:
        assert read_back(f"{x:.{shown - 2}e}") != struct.pack("f", x)


def printed() -> str:
    text = b"".join(strings.T[b"printed"].values()).decode()
    strings.T[b"printed"] = strings.lua.table()
    return text


def test_printing() -> None:
    strings.call("fmt.print", "a", 1, None, [None, "x"])
    strings.call("fmt.println", "a", "b")
    strings.call("fmt.printf", "%d-%s\n", 1, "x")
    # A format alone shows as a value.
    strings.call("fmt.printf", "50%\n")
    assert printed() == 'a1[<undefined>, "x"]ab\n1-x\n"50%\\n"'
    assert strings.call("fmt.println") == "<undefined>"
    assert printed() == "\n"


def test_sprintf() -> None:
    assert strings.call("fmt.sprintf", "%d|%v", 1, "x") == '"1|\\"x\\""'
    assert strings.call("fmt.sprintf", "%d") == '"%d"'
    with pytest.raises(TengoError, match=r"^wrong number of arguments in call to 'user-f"):
        strings.call("fmt.sprintf")
    with pytest.raises(TengoError, match=r"argument 'format' in .*: expected string, found int$"):
        strings.call("fmt.printf", 5)
