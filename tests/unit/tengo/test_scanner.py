"""Bytes to tokens: kinds, texts, places, semicolons, and the faults only a scanner finds."""

from __future__ import annotations

import pytest

from runtimes.tengo.faults import TengoSyntaxError
from runtimes.tengo.literals import char_value, float_value, int_value, string_value
from runtimes.tengo.parser import parse
from runtimes.tengo.scanner import Scanner
from runtimes.tengo.tokens import EOF


class Recorder(Scanner):
    """A scanner that keeps what it reports."""

    def __init__(self, source: bytes) -> None:
        self.faults: list[tuple[int, str]] = []
        super().__init__(source)

    def report(self, offset: int, message: str) -> None:
        self.faults.append((offset, message))


def scan(source: str | bytes) -> tuple[list[tuple[str, str]], list[tuple[int, str]]]:
    """Kinds and texts of all tokens, and the faults."""
    scanner = Recorder(source.encode() if isinstance(source, str) else source)
    tokens = []
    while True:
        scanner.next()
        if scanner.kind == EOF:
            return tokens, scanner.faults
        tokens.append((scanner.kind, scanner.text.decode("utf-8", "replace")))


def kinds(source: str) -> str:
    """The kinds of all tokens; a newline that ends a statement is `|`."""
    tokens, faults = scan(source)
    assert not faults
    return " ".join("|" if token == (";", "\n") else token[0] for token in tokens)


OPERATORS = (
    "+ - * / % & | ^ << >> &^ += -= *= /= %= &= |= ^= <<= >>= &^= && || ++ -- == < > = ! != <= >="
    " := ... ( [ { , . ) ] } ; : ?"
)


def test_every_operator_and_keyword_is_its_own_kind() -> None:
    for operator in OPERATORS.split(" "):
        assert scan(operator)[0][0] == (operator, operator)
    words = "break continue else error export false for func if immutable import in return true"
    for word in (words + " undefined").split(" "):
        assert scan(word)[0][0] == (word, word)
        assert scan(word + "s")[0][0] == ("IDENT", word + "s")


def test_the_longest_operator_wins() -> None:
    assert kinds("a&^=b&^c&&d&=e") == "IDENT &^= IDENT &^ IDENT && IDENT &= IDENT |"
    assert kinds("a<<=b<<c<=d<e") == "IDENT <<= IDENT << IDENT <= IDENT < IDENT |"
    assert kinds("f(a...)") == "IDENT ( IDENT ... ) |"
    assert kinds("a+++b") == "IDENT ++ + IDENT |"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a\nb", "IDENT | IDENT |"),
        ("a\n\n \t\r\n\nb", "IDENT | IDENT |"),
        ("a +\nb", "IDENT + IDENT |"),
        ("f(\n)\n]\n}\n", "IDENT ( ) | ] | } |"),
        ("x++\ny--\n", "IDENT ++ | IDENT -- |"),
        ("return\nbreak\ntrue\nundefined\n", "return | break | true | undefined |"),
        ("func\nif\nin\nerror\n", "func if in error"),
        ("1\n1.5\n'a'\n\"s\"\n`r`\n", "INT | FLOAT | CHAR | STRING | STRING |"),
        ("a;", "IDENT ;"),
        ("", ""),
        ("// only", ""),
        ("a // c\nb", "IDENT | IDENT |"),
        ("a // c", "IDENT |"),
        ("a /* c */ b", "IDENT IDENT |"),
        ("a /* c\n */ b", "IDENT | IDENT |"),
        ("a /* c */\nb", "IDENT | IDENT |"),
        ("a /**/ /**/ // x\nb", "IDENT | IDENT |"),
        ("a /* c */ / b", "IDENT / IDENT |"),
        ("a /* c */", "IDENT |"),
        ("a /*/ c */ b", "IDENT IDENT |"),
        ("a /= b / c", "IDENT /= IDENT / IDENT |"),
        ("#! anything ' \" at all\na", "IDENT |"),
        ("#! anything", ""),
        ("\ufeffa", "IDENT |"),
    ],
)
def test_newlines_end_statements(source: str, expected: str) -> None:
    assert kinds(source) == expected


def test_names_may_have_letters_and_digits_of_any_script() -> None:
    source = "привет é9 _x٣ iф 変数"
    assert [text for _, text in scan(source)[0][:-1]] == source.split(" ")
    assert {kind for kind, _ in scan(source)[0][:-1]} == {"IDENT"}


def test_places_count_bytes_from_one() -> None:
    scanner = Recorder("\n\té é\n".encode())
    scanner.next()
    assert scanner.place(scanner.offset) == (2, 2)
    scanner.next()
    assert scanner.place(scanner.offset) == (2, 5)
    scanner.next()
    assert scanner.place(scanner.offset) == (2, 7)  # the newline
    scanner.next()
    assert (scanner.kind, scanner.place(scanner.offset)) == (EOF, (2, 8))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        *((number, "INT") for number in ("0", "7", "1_000", "0x1F", "0XfF", "0b11", "0o17", "010")),
        *((number, "FLOAT") for number in ("1.", ".5", "1.5", "1e3", "1E+3", "1.5e-3", "0x1p4")),
        *((number, "FLOAT") for number in ("0x1.8p-1", "09.5", "1_0.5_0", "0b1e1", "0x1.")),
    ],
)
def test_numbers(text: str, kind: str) -> None:
    assert scan(text) == ([(kind, text), (";", "\n")], [])


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("1.2.3", ["1.2", ".3"]),
        ("1..2", ["1.", ".2"]),
        ("0b12", ["0b1", "2"]),
        ("0x1e+2", ["0x1e", "+", "2"]),
        ("1a", ["1", "a"]),
        ("a.5", ["a", ".5"]),
    ],
)
def test_where_a_number_ends(source: str, expected: list[str]) -> None:
    assert [text for _, text in scan(source)[0][:-1]] == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((b"0", 0), (b"0x10", 16), (b"010", 8), (b"0o17", 15), (b"0b101", 5), (b"1_000", 1000)),
        *((b"9223372036854775807", 2**63 - 1), (b"0x7fffffffffffffff", 2**63 - 1)),
        *((b"9223372036854775808", None), (b"0xffffffffffffffff", None), (b"08", None)),
        *((b"1_", None), (b"1__0", None), (b"0x", None), (b"0_7", 7), (b"0x_f", 15), (b"0_", None)),
        *((b"0" * 5000, 0), (b"1" * 5000, None), (b"1" * 200_000, None)),
    ],
)
def test_integers(text: bytes, value: int | None) -> None:
    assert int_value(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((b"1.5", 1.5), (b"1.", 1.0), (b".5", 0.5), (b"1e3", 1000.0), (b"08.5", 8.5)),
        *((b"1_23.50_0_0e+1_2", 1.235e14), (b"0x1p4", 16.0), (b"0x1.8p-1", 0.75)),
        *((b"0x_1p0", 1.0), (b"1e400", None), (b"0x1p9999", None), (b"1e-400", 0.0)),
        *((b"0x1.8", None), (b"1e", None), (b"1p5", None), (b"0b1e1", None), (b"1_.5", None)),
        *((b"1._5", None), (b"1e_5", None)),
    ],
)
def test_floats(text: bytes, value: float | None) -> None:
    assert float_value(text) == value


def test_strings_and_characters() -> None:
    named = rb'"\a\b\f\n\r\t\v\\\""'
    assert string_value(named) == b'\a\b\f\n\r\t\v\\"'
    assert string_value(rb'"\x41\101\u00e9\U0001F600\xff\377"') == "AAé😀".encode() + b"\xff\xff"
    assert string_value(b'`a\\n\r\n"`') == b'a\\n\n"'
    assert string_value('"é"'.encode()) == "é".encode()
    for text, value in ((b"'a'", 97), ("'九'".encode(), 0x4E5D), (rb"'\''", 39), (rb"'\xff'", 255)):
        assert char_value(text) == value
    for text, value in ((rb"'\n'", 10), (rb"'\377'", 255), (rb"'\U0001F600'", 0x1F600)):
        assert char_value(text) == value


@pytest.mark.parametrize(
    ("source", "faults"),
    [
        ('"abc', [(0, "string literal not terminated")]),
        ('"abc\n"', [(0, "string literal not terminated"), (5, "string literal not terminated")]),
        ("`abc", [(0, "raw string literal not terminated")]),
        ("/* abc", [(0, "comment not terminated")]),
        ("'", [(0, "rune literal not terminated")]),
        ("'a", [(0, "rune literal not terminated")]),
        ("''", [(0, "illegal rune literal")]),
        ("'ab'", [(0, "illegal rune literal")]),
        ("'éé'", [(0, "illegal rune literal")]),
        (r'"\q"', [(2, "unknown escape sequence")]),
        (r'"\'"', [(2, "unknown escape sequence")]),
        (r"""'\"'""", [(2, "unknown escape sequence")]),
        (r'"\0"', [(3, "illegal character U+0022 '\"' in escape sequence")]),
        (r'"\xg"', [(3, "illegal character U+0067 'g' in escape sequence")]),
        (r'"\u12é"', [(5, "illegal character U+00E9 'é' in escape sequence")]),
        (r'"\400"', [(2, "escape sequence is invalid Unicode code point")]),
        (r'"\ud800"', [(2, "escape sequence is invalid Unicode code point")]),
        (r'"\U00110000"', [(2, "escape sequence is invalid Unicode code point")]),
        ('"\\', [(2, "escape sequence not terminated"), (0, "string literal not terminated")]),
        ('"\\x', [(3, "escape sequence not terminated"), (0, "string literal not terminated")]),
        ("1e", [(2, "exponent has no digits")]),
        ("1e+;", [(3, "exponent has no digits")]),
        ("a $", [(2, "illegal character U+0024 '$'")]),
        ("\x01", [(0, "illegal character U+0001")]),
        ("😀", [(0, "illegal character U+1F600 '😀'")]),
        ("٣", [(0, "illegal character U+0663 '٣'")]),
        (b"\0", [(0, "illegal character NUL"), (0, "illegal character U+0000")]),
        (b"\xff", [(0, "illegal UTF-8 encoding"), (0, "illegal character U+FFFD '\ufffd'")]),
        (b'"\xc3("', [(1, "illegal UTF-8 encoding")]),
        (b"// \xed\xa0\x80", [(at, "illegal UTF-8 encoding") for at in (3, 4, 5)]),
        ("a\ufeff", [(1, "illegal byte order mark")]),
        ("a /* \0 */", [(5, "illegal character NUL")] * 2),  # the original looks twice
    ],
)
def test_faults(source: str | bytes, faults: list[tuple[int, str]]) -> None:
    assert sorted(scan(source)[1]) == sorted(faults)


def test_a_program_may_be_of_invalid_bytes_only_outside_of_its_text() -> None:
    with pytest.raises(TengoSyntaxError, match="illegal UTF-8 encoding"):
        parse(b'a := "\xff"', "(main)")
    parse(b'a := "\\xff"', "(main)")
