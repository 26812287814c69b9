"""The module math against Python's, exact sums in decimals, and what Go documents."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from decimal import Decimal, localcontext
from typing import Any

import pytest
from hypothesis import assume, example
from hypothesis import strategies as st
from library import Library, TengoError, given

go = Library("math")

INF, NAN = math.inf, math.nan
finite = st.floats(allow_nan=False, allow_infinity=False)


def bits(x: float) -> bytes:
    return struct.pack("<d", x)


def same(a: Any, b: Any) -> bool:
    """Equal as Go's == and in the sign of zero; NaN like NaN."""
    if isinstance(a, float) and isinstance(b, float):
        return (a != a and b != b) or bits(a) == bits(b)
    return type(a) is type(b) and bool(a == b)


def apart(a: float, b: float) -> float:
    """How many units in the last place of `b` are between them."""
    if a == b or (a != a and b != b):
        return 0.0
    return abs(a - b) / math.ulp(b) if math.isfinite(b) else INF


# How far Go's algorithm may be from the C library, in units of the last place; twice what is seen.
CLOSE: list[tuple[str, Callable[[float], float], float, float, float]] = [
    ("asin", math.asin, -1, 1, 10),
    ("atan", math.atan, -50, 50, 4),
    ("exp", math.exp, -740, 709, 0),
    ("exp2", lambda x: 2.0**x, -1080, 1023, 2),
    ("expm1", math.expm1, -60, 709, 2),
    ("log", math.log, 1e-308, 1e308, 2),
    ("log", math.log, 0.5, 2, 2),
    ("log1p", math.log1p, -0.99999, 10, 2),
    ("log1p", math.log1p, -1e-5, 1e-5, 2),
    ("log1p", math.log1p, 0, 1e308, 2),
    ("sinh", math.sinh, -700, 700, 8),
    ("sinh", math.sinh, -0.5, 0.5, 8),
    ("cosh", math.cosh, -700, 700, 4),
    ("tanh", math.tanh, -40, 40, 4),
    ("tanh", math.tanh, -1, 1, 4),
    ("asinh", math.asinh, -1e300, 1e300, 4),
    ("asinh", math.asinh, -5, 5, 4),
    ("acosh", math.acosh, 1, 5, 4),
    ("acosh", math.acosh, 1, 1e300, 4),
    ("atanh", math.atanh, -0.9999, 0.9999, 4),
    ("erf", math.erf, -6.5, 6.5, 4),
    ("erfc", math.erfc, -6.5, 26, 6),
    ("gamma", math.gamma, 0.01, 33, 20),
    ("gamma", math.gamma, 33, 143, 300),
    ("gamma", math.gamma, 143, 171, 300),
]


@pytest.mark.parametrize(
    ("name", "reference", "low", "high", "limit"),
    CLOSE,
    ids=[f"{row[0]}-{row[2]}-{row[3]}" for row in CLOSE],
)
def test_close_to_the_c_library(
    name: str, reference: Callable[[float], float], low: float, high: float, limit: float
) -> None:
    @given(st.floats(low, high))
    def check(x: float) -> None:
        assert apart(getattr(go, name)(x), reference(x)) <= limit

    check()


@given(st.one_of(st.floats(-10, 10), st.floats(-1e6, 1e6), st.floats(-1e300, 1e300)))
@example(math.pi)
@example(math.pi / 2)
@example(2.0**29)
def test_circular_functions(x: float) -> None:
    """Near multiples of pi Go's reduction loses digits, and below 1e-7 the tangent is the angle."""
    for name in ("sin", "cos", "tan"):
        expected = getattr(math, name)(x)
        assert math.isclose(getattr(go, name)(x), expected, rel_tol=1e-14, abs_tol=1e-25)


@given(st.floats(-0.7, 0.7))
def test_circular_functions_without_reduction(x: float) -> None:
    assert apart(go.sin(x), math.sin(x)) <= 2
    assert apart(go.cos(x), math.cos(x)) <= 2


EXACT: dict[str, Callable[[float], Any]] = {
    "abs": abs,
    "floor": lambda x: math.copysign(float(math.floor(x)), x),
    "ceil": lambda x: math.copysign(float(math.ceil(x)), x),
    "trunc": lambda x: math.copysign(float(math.trunc(x)), x),
    "signbit": lambda x: math.copysign(1, x) < 0,
    "is_nan": lambda x: False,
}


@pytest.mark.parametrize("name", EXACT)
@given(finite)
@example(-0.0)
@example(-0.5)
@example(2.0**53 + 1)
def test_exact(name: str, x: float) -> None:
    assert same(getattr(go, name)(x), EXACT[name](x))


@given(finite)
def test_sqrt(x: float) -> None:
    assert same(go.sqrt(x), math.sqrt(x) if x >= 0 else NAN)


@given(finite, finite)
@example(1.1235582092889478e308, 4.494232837155791e307)
def test_exact_of_two(x: float, y: float) -> None:
    assert same(go.copysign(x, y), math.copysign(x, y))
    assert same(go.mod(x, y), math.fmod(x, y) if y else NAN)
    assert same(go.remainder(x, y), math.remainder(x, y) if y else NAN)
    assert same(go.nextafter(x, y), math.nextafter(x, y) if x != y else x)
    difference = x - y
    assert same(go.dim(x, y), difference if difference > 0 else 0.0)
    assert go.max(x, y) == max(x, y)
    assert go.min(x, y) == min(x, y)
    assert apart(go.hypot(x, y), math.hypot(x, y)) <= 2 or math.hypot(x, y) < 1e-307
    if y and abs(x / y) > 1e-307:  # else Go's quotient loses its sign
        assert apart(go.atan2(x, y), math.atan2(x, y)) <= 4


@given(finite, st.integers(-2200, 2200))
@example(0.75, -1074)
@example(1.5, -1075)
@example(5e-324, 2097)
def test_ldexp(x: float, exponent: int) -> None:
    try:
        expected = math.ldexp(x, exponent)
    except OverflowError:
        expected = math.copysign(INF, x)
    assert same(go.ldexp(x, exponent), expected)


@given(finite.filter(bool))
def test_exponents(x: float) -> None:
    exponent = math.frexp(x)[1] - 1
    assert go.ilogb(x) == exponent
    assert same(go.logb(x), float(exponent))


@given(st.floats(5e-324, 1e308))
@example(5e-324)
@example(2.0**-1022)
def test_cube_root(x: float) -> None:
    """The C library's is not that good."""
    with localcontext() as context:
        context.prec = 50
        exact = Decimal(x) ** (Decimal(1) / 3)
        error = abs(Decimal(go.cbrt(x)) - exact) / Decimal(math.ulp(float(exact)))
    assert error < Decimal("0.668")
    assert go.cbrt(-x) == -go.cbrt(x)


def test_cube_root_of_cubes() -> None:
    assert [go.cbrt(float(n**3)) for n in range(50)] == list(map(float, range(50)))


@given(st.floats(1e-300, 1e300))
def test_logarithms_as_go_computes_them(x: float) -> None:
    assert go.log2(x) == pytest.approx(math.log2(x), rel=1e-14, abs=2e-16)
    assert go.log10(x) == go.log2(x) * 0.30102999566398119521


def test_well_known_last_digits() -> None:
    """Go prints these, which are not the nearest floats, or would not be with other formulas."""
    assert go.log10(100) == 2
    assert [go.log2(2.0**n) for n in range(-1074, 1024)] == [float(n) for n in range(-1074, 1024)]
    assert go.pow(10, 2) == 100
    assert go.pow(2, 0.5) == math.sqrt(2)
    assert go.acos(0.5) == math.pi / 2 - go.asin(0.5)
    assert go.sin(math.pi) == pytest.approx(1.2246467991473515e-16, rel=1e-12)
    assert go.exp(1) == math.e


@given(st.floats(1e-20, 1e20), st.floats(-15, 15))
def test_pow(x: float, y: float) -> None:
    assert go.pow(x, y) == pytest.approx(math.pow(x, y), rel=1e-14)


@given(st.integers(-40, 40), st.integers(0, 9))
def test_pow_of_ints_is_exact_where_it_fits(x: int, y: int) -> None:
    assume(abs(x**y) < 1 << 53)
    assert go.pow(x, y) == x**y


ODD = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.0, -3.0, INF, -INF, NAN]


@given(st.sampled_from([*ODD, 1e300]), st.sampled_from(ODD))
def test_pow_special(x: float, y: float) -> None:
    try:
        expected = math.pow(x, y)
    except ValueError:  # C's pole or domain error
        odd = y in (-1.0, -3.0)
        expected = (math.copysign(INF, x) if odd else INF) if x == 0 else NAN
    except OverflowError:
        expected = INF
    if abs(y) == 0.5:  # the square root, also of -Inf
        root = math.sqrt(abs(x)) if y > 0 else INF if x == 0 else 1 / math.sqrt(abs(x))
        assert same(go.pow(x, y), NAN if -INF < x < 0 else root)
    else:
        assert same(go.pow(x, y), expected)


@given(st.integers(-400, 400))
def test_pow10(n: int) -> None:
    found = go.pow10(n)
    if n < -323:
        assert found == 0
    elif n > 308:
        assert found == INF
    else:
        assert apart(found, float(f"1e{n}")) <= 1


SPECIAL = [
    ("sin", [INF, NAN, -0.0], [NAN, NAN, -0.0]),
    ("cos", [INF, NAN, 0.0], [NAN, NAN, 1.0]),
    ("tan", [-INF, -0.0], [NAN, -0.0]),
    ("asin", [2.0, -0.0, 1.0], [NAN, -0.0, math.pi / 2]),
    ("acos", [-2.0, 1.0], [NAN, 0.0]),
    ("atan", [INF, -INF, -0.0], [math.pi / 2, -math.pi / 2, -0.0]),
    ("sinh", [INF, -INF, -0.0], [INF, -INF, -0.0]),
    ("cosh", [INF, -INF], [INF, INF]),
    ("tanh", [INF, -INF, -0.0], [1.0, -1.0, -0.0]),
    ("asinh", [INF, -INF, -0.0], [INF, -INF, -0.0]),
    ("acosh", [INF, 0.5, 1.0], [INF, NAN, 0.0]),
    ("atanh", [1.0, -1.0, 2.0, -0.0], [INF, -INF, NAN, -0.0]),
    ("cbrt", [INF, -INF, -0.0, NAN], [INF, -INF, -0.0, NAN]),
    ("exp", [INF, -INF, 710.0, -746.0], [INF, 0.0, INF, 0.0]),
    ("exp2", [INF, -INF, 1024.0, -1075.5, 10.0, 0.0], [INF, 0.0, INF, 0.0, 1024.0, 1.0]),
    ("expm1", [INF, -INF, 710.0, -0.0], [INF, -1.0, INF, -0.0]),
    ("log", [0.0, -1.0, INF, 1.0], [-INF, NAN, INF, 0.0]),
    ("log2", [0.0, -1.0, INF], [-INF, NAN, INF]),
    ("log10", [0.0, -1.0, INF], [-INF, NAN, INF]),
    ("log1p", [-1.0, -2.0, INF, -0.0], [-INF, NAN, INF, -0.0]),
    ("logb", [0.0, INF, -INF, NAN], [-INF, INF, INF, NAN]),
    ("ilogb", [0.0, INF, NAN], [-(1 << 31), (1 << 31) - 1, (1 << 31) - 1]),
    ("gamma", [0.0, -0.0, INF, -INF, -3.0, 5.0, 172.0], [INF, -INF, INF, NAN, NAN, 24.0, INF]),
    ("erf", [INF, -INF, 0.0], [1.0, -1.0, 0.0]),
    ("erfc", [INF, -INF, 0.0], [0.0, 2.0, 1.0]),
    ("floor", [INF, -INF, NAN], [INF, -INF, NAN]),
    ("ceil", [INF, -INF, NAN], [INF, -INF, NAN]),
    ("trunc", [INF, -INF, NAN], [INF, -INF, NAN]),
    ("abs", [-INF, -0.0], [INF, 0.0]),
    ("j0", [INF, 0.0, NAN], [0.0, 1.0, NAN]),
    ("j1", [INF, 0.0, -INF], [0.0, 0.0, 0.0]),
    ("y0", [0.0, -1.0, INF], [-INF, NAN, 0.0]),
    ("y1", [0.0, -1.0, INF], [-INF, NAN, 0.0]),
]


@pytest.mark.parametrize(("name", "arguments", "expected"), SPECIAL, ids=[r[0] for r in SPECIAL])
def test_special_cases(name: str, arguments: list[float], expected: list[Any]) -> None:
    assert all(same(getattr(go, name)(x), y) for x, y in zip(arguments, expected, strict=True)), [
        getattr(go, name)(x) for x in arguments
    ]


def test_special_cases_of_two() -> None:
    assert same(go.max(0.0, -0.0), 0.0)
    assert same(go.max(NAN, INF), INF)
    assert same(go.max(1, NAN), NAN)
    assert same(go.min(0.0, -0.0), -0.0)
    assert same(go.min(NAN, -INF), -INF)
    assert same(go.dim(INF, INF), NAN)
    assert same(go.dim(-1, 2), 0.0)
    assert same(go.mod(5.0, INF), 5.0)
    assert same(go.mod(INF, 5.0), NAN)
    assert same(go.mod(-7, 3), -1.0)
    assert same(go.remainder(5.0, INF), 5.0)
    assert same(go.hypot(NAN, INF), INF)
    assert same(go.hypot(0, 0), 0.0)
    assert same(go.nextafter(0, -1), -5e-324)
    assert same(go.nextafter(1, NAN), NAN)
    assert same(go.ldexp(1, (1 << 63) - 1), INF)
    assert same(go.ldexp(-1, -(1 << 63)), -0.0)
    assert same(go.inf(0), INF)
    assert same(go.inf(-1), -INF)
    assert same(go.nan(), NAN)
    assert [go.is_inf(INF, sign) for sign in (1, 0, -1)] == [True, True, False]
    assert [go.is_inf(-INF, sign) for sign in (1, 0, -1)] == [False, True, True]
    for y in (0.0, -0.0, 1.0, -1.0, INF, -INF):
        for x in (0.0, -0.0, 1.0, -1.0, INF, -INF):
            assert apart(go.atan2(y, x), math.atan2(y, x)) <= 1, (y, x)


def bessel(order: int, x: float) -> float:
    """J of an order as the mean of cos(order t - x sin t), which the rectangle rule gives fully."""
    points = 400
    step = math.pi / points
    angles = [(i + 0.5) * step for i in range(points)]
    return math.fsum(math.cos(order * t - x * math.sin(t)) for t in angles) / points


@given(st.floats(-60, 60), st.integers(-30, 30))
def test_bessel_first_kind(x: float, order: int) -> None:
    assert go.jn(order, x) == pytest.approx(bessel(order, x), rel=1e-13, abs=3e-15)
    assert go.j0(x) == pytest.approx(bessel(0, x), abs=3e-15)
    assert go.j1(x) == pytest.approx(bessel(1, x), abs=3e-15)


@given(st.floats(0.001, 60), st.integers(0, 8))
def test_bessel_second_kind(x: float, order: int) -> None:
    """J[n+1] Y[n] - J[n] Y[n+1] is 2 / (pi x)."""
    a, b = go.jn(order + 1, x) * go.yn(order, x), go.jn(order, x) * go.yn(order + 1, x)
    assert a - b == pytest.approx(2 / (math.pi * x), rel=1e-12)
    assert go.yn(-order, x) == (-1) ** order * go.yn(order, x)
    assert (go.yn(0, x), go.yn(1, x)) == (go.y0(x), go.y1(x))


def test_bessel_known_values() -> None:
    """From tables (Abramowitz & Stegun 9.1)."""
    assert go.j0(1) == pytest.approx(0.7651976865579666, rel=1e-15)
    assert go.j1(1) == pytest.approx(0.4400505857449335, rel=1e-15)
    assert go.jn(2, 1) == pytest.approx(0.1149034849319005, rel=1e-14)
    assert go.y0(1) == pytest.approx(0.0882569642156769, rel=1e-14)
    assert go.y1(1) == pytest.approx(-0.7812128213002887, rel=1e-15)
    assert go.yn(2, 1) == pytest.approx(-1.6506826068162544, rel=1e-14)
    assert go.jn(40, 1e-10) == 0
    assert abs(go.j0(1e200)) < 1e-99
    assert abs(go.jn(3, 1e200)) < 1e-99
    assert same(go.yn(-3, 0), INF)
    assert same(go.yn(3, 0), -INF)


def test_arguments_are_converted() -> None:
    assert same(go.abs(-5), 5.0)
    assert same(go.floor("2.5"), 2.0)
    assert same(go.ldexp("1", True), 2.0)
    assert same(go.pow10("3"), 1000.0)


@pytest.mark.parametrize(
    ("name", "arguments", "which", "expected"),
    [
        ("abs", ["x"], "first", "float(compatible), found string"),
        ("abs", [True], "first", "float(compatible), found bool"),
        ("sin", [None], "first", "float(compatible), found undefined"),
        ("pow", [1, "x"], "second", "float(compatible), found string"),
        ("jn", ["x", 1], "first", "int(compatible), found string"),
        ("jn", [1, "x"], "second", "float(compatible), found string"),
        ("ldexp", [1, "x"], "second", "int(compatible), found string"),
        ("inf", ["x"], "first", "int(compatible), found string"),
    ],
)
def test_wrong_types(name: str, arguments: list[Any], which: str, expected: str) -> None:
    """Without the function's name, as the real VM (probes P553, P556)."""
    with pytest.raises(TengoError) as caught:
        getattr(go, name)(*arguments)
    assert str(caught.value) == (
        f"invalid type for argument '{which}' in call to 'user-function:': expected {expected}"
    )


@pytest.mark.parametrize(("name", "count"), [("abs", 0), ("nan", 1), ("pow", 1), ("inf", 2)])
def test_wrong_counts(name: str, count: int) -> None:
    with pytest.raises(TengoError, match=r"^wrong number of .* call to 'user-function:'$"):
        getattr(go, name)(*[1.0] * count)


def test_names_and_constants() -> None:
    """65 names on the real VM (P551); one of them is `__module_name__`, which import adds."""
    assert len(go.names()) == 64
    assert (go.e, go.pi, go.sqrt2) == (math.e, math.pi, math.sqrt(2))
    assert go.phi == (1 + math.sqrt(5)) / 2
    assert go.sqrtPhi == pytest.approx(math.sqrt(go.phi), rel=1e-15)
    assert go.sqrtPi == pytest.approx(math.sqrt(math.pi), rel=1e-15)
    assert go.sqrtE == pytest.approx(math.sqrt(math.e), rel=1e-15)
    assert (go.ln2, go.ln10) == (math.log(2), math.log(10))
    assert (go.log2E, go.log10E) == (math.log2(math.e), math.log10(math.e))
