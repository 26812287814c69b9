"""The module times against Python's datetime, and against documented behaviour of Go's time."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import strategies as st
from library import Library, TengoError, given

times = Library("times")

BILLION = 10**9
INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
moments = st.datetimes(timezones=st.just(UTC))
SECOND_OF_2009 = 1233810057  # Wed Feb 4 21:00:57 PST 2009, the time of Go's own examples


def seconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(seconds=1)


def value(moment: datetime) -> Any:
    return times.unix(seconds(moment), moment.microsecond * 1000)


def fields(found: Any) -> tuple[int, int, int, str]:
    assert found[1] == times.T[b"TIME"], times.message(found)
    return found[2], found[3], found[4], found[5].decode()


def parsed(layout: str, text: str) -> str:
    """What a text reads as: the time as text, or what is wrong with it."""
    found = times.parse(layout, text)
    if found[1] == times.T[b"ERROR"]:
        return times.message(found)
    return str(times.time_string(found))


@given(moments)
def test_parts(moment: datetime) -> None:
    found = value(moment)
    assert times.time_year(found) == moment.year
    assert times.time_month(found) == moment.month
    assert times.time_day(found) == moment.day
    assert times.time_hour(found) == moment.hour
    assert times.time_minute(found) == moment.minute
    assert times.time_second(found) == moment.second
    assert times.time_nanosecond(found) == moment.microsecond * 1000
    assert times.time_weekday(found) == moment.isoweekday() % 7
    assert times.time_unix(found) == seconds(moment)
    assert times.time_location(found) == "UTC"
    assert times.time_format(found, "002") == moment.strftime("%j")


@given(moments)
def test_date(moment: datetime) -> None:
    made = times.date(*moment.timetuple()[:6], moment.microsecond * 1000)
    assert fields(made) == (seconds(moment), moment.microsecond * 1000, 0, "UTC")


small = st.integers(-5000, 5000)


@given(moments, small, small, small, small, small, st.integers(-(10**18), 10**18))
def test_date_with_parts_out_of_range(
    moment: datetime, month: int, day: int, hour: int, minute: int, second: int, nanosecond: int
) -> None:
    """Every part carries over into the next larger one."""
    made = times.date(moment.year, month, day, hour, minute, second, nanosecond)
    year, month0 = divmod(moment.year * 12 + month - 1, 12)
    # The calendar repeats every 400 years of 146097 days.
    eras, year = divmod(year, 400)
    days = (datetime(year + 400, month0 + 1, 1, tzinfo=UTC) - EPOCH).days + (eras - 1) * 146097
    whole = (days + day - 1) * 86400 + hour * 3600 + minute * 60 + second
    carry, rest = divmod(nanosecond, BILLION)
    assert fields(made)[:2] == (whole + carry, rest)


@given(st.integers(-(10**17), 10**17))
def test_years_far_away(second: int) -> None:
    """Dates 400 years apart look the same but for the year."""
    eras, inside = divmod(second, 146097 * 86400)
    near, far = times.unix(inside, 0), times.unix(second, 0)
    assert times.time_year(far) == times.time_year(near) + 400 * eras
    layout = "Mon Jan 2 15:04:05 002"
    assert times.time_format(far, layout) == times.time_format(near, layout)


@given(moments, st.integers(-3000, 3000), st.integers(-40000, 40000), st.integers(-(10**6), 10**6))
def test_add_date(moment: datetime, years: int, months: int, days: int) -> None:
    found = times.add_date(value(moment), years, months, days)
    expected = times.date(
        moment.year + years,
        moment.month + months,
        moment.day + days,
        *moment.timetuple()[3:6],
        moment.microsecond * 1000,
    )
    assert fields(found) == fields(expected)


def test_add_date_example() -> None:
    start = times.date(2011, 1, 1, 0, 0, 0, 0)
    assert times.time_format(times.add_date(start, -1, 2, 3), "2006-01-02") == "2010-03-04"
    start = times.date(2023, 1, 31, 0, 0, 0, 0)
    assert times.time_format(times.add_date(start, 0, 1, 0), "2006-01-02") == "2023-03-03"


@given(moments, INT64)
def test_add_and_sub(moment: datetime, duration: int) -> None:
    start = value(moment)
    end = times.add(start, duration)
    whole, rest = divmod(seconds(moment) * BILLION + moment.microsecond * 1000 + duration, BILLION)
    assert fields(end)[:2] == (whole, rest)
    assert times.sub(end, start) == duration
    assert times.before(start, end) == (duration > 0)
    assert times.after(start, end) == (duration < 0)


@given(moments, moments)
def test_sub_stays_within_an_int(a: datetime, b: datetime) -> None:
    exact = (a - b) // timedelta(microseconds=1) * 1000
    clamped = max(-(1 << 63), min((1 << 63) - 1, exact))
    assert times.sub(value(a), value(b)) == clamped


@given(st.integers(-(10**11), 10**11), INT64)
def test_unix(second: int, nanosecond: int) -> None:
    found = times.unix(second, nanosecond)
    assert fields(found)[:2] == divmod(second * BILLION + nanosecond, BILLION)
    total = second * BILLION + nanosecond
    wrapped = (total + (1 << 63)) % (1 << 64) - (1 << 63)
    assert times.time_unix_nano(found) == wrapped


def test_zero_time() -> None:
    zero = times.date(1, 1, 1, 0, 0, 0, 0)
    assert times.is_zero(zero)
    assert not times.is_zero(times.add(zero, 1))
    assert times.time_string(zero) == "0001-01-01 00:00:00 +0000 UTC"
    assert not times.is_zero(times.unix(0, 0))


def test_clock() -> None:
    before = time.time_ns()
    now = times.now()
    after = time.time_ns()
    assert before <= times.time_unix_nano(now) <= after
    assert 0 <= times.since(now) < 60 * BILLION
    assert -60 * BILLION < times.until(now) <= 0
    assert times.until(times.add(now, 3600 * BILLION)) > 3000 * BILLION


def test_sleep() -> None:
    begin = time.monotonic(), time.process_time()
    assert times.sleep(30_000_000) is None
    assert time.monotonic() - begin[0] >= 0.03
    assert time.process_time() - begin[1] < 0.02
    begin = time.monotonic(), 0.0
    times.sleep(0)
    times.sleep(-(1 << 63))
    assert time.monotonic() - begin[0] < 0.03


@given(moments)
def test_format_against_strftime(moment: datetime) -> None:
    pairs = {
        "2006-01-02T15:04:05.000000Z07:00": moment.isoformat(timespec="microseconds")[:-6] + "Z",
        "Mon Monday Jan January": moment.strftime("%a %A %b %B"),
        "01 02 06 002": moment.strftime("%m %d ") + f"{moment.year % 100:02} {moment:%j}",
        "1/2 3:4:5": f"{moment.month}/{moment.day} {(moment.hour + 11) % 12 + 1}:{moment.minute}:"
        f"{moment.second}",
        "03PM 03pm": moment.strftime("%I%p ") + moment.strftime("%I%p").lower(),
        "_2|__2": f"{moment.day:2}|{moment.timetuple().tm_yday:3}",
        "15h04m05s": moment.strftime("%Hh%Mm%Ss"),
    }
    for layout, expected in pairs.items():
        assert times.time_format(value(moment), layout) == expected


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        ("Mon Jan _2 15:04:05 2006", "Wed Feb  4 21:00:57 2009"),
        ("Mon Jan _2 15:04:05 MST 2006", "Wed Feb  4 21:00:57 PST 2009"),
        ("Mon Jan 02 15:04:05 -0700 2006", "Wed Feb 04 21:00:57 -0800 2009"),
        ("02 Jan 06 15:04 MST", "04 Feb 09 21:00 PST"),
        ("Monday, 02-Jan-06 15:04:05 MST", "Wednesday, 04-Feb-09 21:00:57 PST"),
        ("2006-01-02T15:04:05Z07:00", "2009-02-04T21:00:57-08:00"),
        ("2006-01-02T15:04:05.999999999Z07:00", "2009-02-04T21:00:57.0123456-08:00"),
        ("3:04PM", "9:00PM"),
        ("3pm", "9pm"),
        ("06 01 02", "09 02 04"),
        ("Jan _2 15:04:05.000", "Feb  4 21:00:57.012"),
        ("Jan _2 15:04:05.000000000", "Feb  4 21:00:57.012345600"),
        (".00 ,000 .9 ,99 .999999 .099", ".01 ,012  ,01 .012345 .099"),
        ("January Month Janet Monitor", "February Month Janet Monitor"),
        ("2 _2 __2 002 _2006 20061", "4  4  35 035 _2009 20092"),
        ("-07 -0700 -07:00 -070000 -07:00:00", "-08 -0800 -08:00 -080000 -08:00:00"),
        ("Z07 Z0700 Z070000 Z07:00:00 Z", "-08 -0800 -080000 -08:00:00 Z"),
        ("h\xe9 %d 100%", "h\xe9 %d 200%"),
        ("", ""),
    ],
)
def test_format(layout: str, expected: str) -> None:
    """Go's own examples; PST is a zone with an offset, which `parse` makes."""
    pst = times.T[b"time"](SECOND_OF_2009, 12345600, -8 * 3600, b"PST")
    assert times.time_format(pst, layout) == expected


@pytest.mark.parametrize(
    ("offset", "zone", "expected"),
    [
        (0, b"UTC", "2009-02-05 05:00:57 +0000 UTC"),
        (5400, b"", "2009-02-05 06:30:57 +0130 +0130"),
        (-5400, b"X", "2009-02-05 03:30:57 -0130 X"),
        (-30, b"", "2009-02-05 05:00:27 +0000 +0000"),
    ],
)
def test_string(offset: int, zone: bytes, expected: str) -> None:
    found = times.T[b"time"](SECOND_OF_2009, 0, offset, zone)
    assert times.time_string(found) == expected


def test_years_with_signs_and_many_digits() -> None:
    far = times.date(-44, 3, 15, 0, 0, 0, 0)
    assert times.time_format(far, "2006 06") == "-0044 44"
    assert times.time_format(times.date(12345, 1, 1, 0, 0, 0, 0), "2006 06") == "12345 45"


OFFSETS = st.integers(-24 * 60, 24 * 60).filter(lambda minutes: abs(minutes) < 24 * 60)


@given(moments, OFFSETS)
def test_parse_offsets(moment: datetime, minutes: int) -> None:
    local = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    text = local.isoformat(timespec="microseconds")
    found = times.parse("2006-01-02T15:04:05Z07:00", text)
    expected = (local - EPOCH) // timedelta(microseconds=1)
    assert fields(found) == (
        expected // 10**6,
        expected % 10**6 * 1000,
        minutes * 60,
        "UTC" if minutes == 0 else "",
    )
    assert times.time_format(found, "2006-01-02T15:04:05.000000-07:00") == text


LAYOUTS = [name for name in sorted(times.names()) if name.startswith("format_")]


@pytest.mark.parametrize("name", LAYOUTS)
@given(moment=moments)
def test_what_is_formatted_can_be_parsed(name: str, moment: datetime) -> None:
    layout = getattr(times, name)
    text = times.time_format(value(moment), layout)
    again = times.parse(layout, text)
    assert again[1] == times.T[b"TIME"]
    if "2006" in layout or "06" not in layout or 1969 <= moment.year <= 2068:
        assert times.time_format(again, layout) == text
    else:  # of two digits of a year Go makes one of these, with another day of the week
        assert 1969 <= times.time_year(again) <= 2068
    if "rfc3339" in name:
        exact = "nano" in name
        assert fields(again)[:2] == (seconds(moment), moment.microsecond * 1000 * exact)


@pytest.mark.parametrize(
    ("layout", "text", "expected"),
    [
        ("3:04PM", "12:30AM", "0000-01-01 00:30:00 +0000 UTC"),
        ("3:04pm", "12:30pm", "0000-01-01 12:30:00 +0000 UTC"),
        ("Mon Jan _2 15:04:05 2006", "thu feb  4 21:00:57 2010", "2010-02-04 21:00:57 +0000 UTC"),
        ("Jan 2 2006", "Feb   4  2010", "2010-02-04 00:00:00 +0000 UTC"),
        ("15:04:05 MST", "21:00:57 CEST", "0000-01-01 21:00:57 +0000 CEST"),
        ("15:04:05 MST", "21:00:57 ChST", "0000-01-01 21:00:57 +0000 ChST"),
        ("15:04:05 MST", "21:00:57 UTC", "0000-01-01 21:00:57 +0000 UTC"),
        ("15:04:05 MST", "21:00:57 GMT-8", "0000-01-01 13:00:57 -0800 GMT-8"),
        ("15:04 -0700 MST", "21:00 -0800 PST", "0000-01-01 21:00:00 -0800 PST"),
        ("15:04:05", "21:00:57.0123456789", "0000-01-01 21:00:57.012345678 +0000 UTC"),
        ("15:04:05", "21:00:57,5", "0000-01-01 21:00:57.5 +0000 UTC"),
        ("15:04:05.999", "21:00:57", "0000-01-01 21:00:57 +0000 UTC"),
        ("15:04:05.000", "21:00:57.123", "0000-01-01 21:00:57.123 +0000 UTC"),
        ("2006-01-02 Z07:00", "2010-02-04 Z", "2010-02-04 00:00:00 +0000 UTC"),
        ("2006 002", "2024 366", "2024-12-31 00:00:00 +0000 UTC"),
        ("2006 __2", "2023  60", "2023-03-01 00:00:00 +0000 UTC"),
        ("06", "68", "2068-01-01 00:00:00 +0000 UTC"),
        ("06", "69", "1969-01-01 00:00:00 +0000 UTC"),
        ("2006", "0000", "0000-01-01 00:00:00 +0000 UTC"),
        ("", "", "0000-01-01 00:00:00 +0000 UTC"),
        # What is wrong, in Go's words.
        ("2006-1", "22-1", 'parsing time "22-1" as "2006-1": cannot parse "22-1" as "2006"'),
        ("2006-1", "2010/2", 'parsing time "2010/2" as "2006-1": cannot parse "/2" as "-"'),
        ("2006-01-02", "2010-02-04x", 'parsing time "2010-02-04x": extra text: "x"'),
        ("2006-01-02", "2010-13-04", 'parsing time "2010-13-04": month out of range'),
        ("2006-01-02", "2010-02-29", 'parsing time "2010-02-29": day out of range'),
        ("2006-01-02", "2010-02-00", 'parsing time "2010-02-00": day out of range'),
        ("15:04", "24:00", 'parsing time "24:00": hour out of range'),
        ("3:04", "13:00", 'parsing time "13:00": hour out of range'),
        ("15:04", "10:60", 'parsing time "10:60": minute out of range'),
        ("15:04:05", "10:00:60", 'parsing time "10:00:60": second out of range'),
        ("-07:00", "+25:00", 'parsing time "+25:00": time zone offset hour out of range'),
        ("-07", "0100", 'parsing time "0100" as "-07": cannot parse "0100" as "-07"'),
        ("Jan", "Foo", 'parsing time "Foo" as "Jan": cannot parse "Foo" as "Jan"'),
        ("MST", "abc", 'parsing time "abc" as "MST": cannot parse "abc" as "MST"'),
        ("PM", "xm", 'parsing time "xm" as "PM": cannot parse "xm" as "PM"'),
        ("5.000", "1.2", 'parsing time "1.2" as "5.000": cannot parse ".2" as ".000"'),
        ("2006 002", "2023 366", 'parsing time "2023 366": day-of-year out of range'),
        ("Jan 002", "Jan 060", 'parsing time "Jan 060": day-of-year does not match month'),
        ("2 002", "5 060", 'parsing time "5 060": day-of-year does not match day'),
        ("06", "\xe9\"\n", 'parsing time "\\xc3\\xa9\\"\\x0a" as "06": cannot parse '
         '"\\xc3\\xa9\\"\\x0a" as "06"'),
    ],
)  # fmt: skip
def test_parse(layout: str, text: str, expected: str) -> None:
    assert parsed(layout, text) == expected


@given(INT64)
def test_durations_as_text_can_be_parsed(duration: int) -> None:
    assert times.parse_duration(times.duration_string(duration)) == duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0), ("+5s", 5 * BILLION), ("-1.5h", -5400 * BILLION), (".5s", BILLION // 2),
        ("5.s", 5 * BILLION), ("1us", 1000), ("12\u00b5s", 12000), ("12\u03bcs", 12000),
        ("1h2m3s4ms5us6ns", 3723004005006), ("39h9m14.425s", 140954425000000),
        ("52763797000ns", 52763797000), ("0.3333333333333333333h", 1200 * BILLION),
        ("9007199254740993ns", (1 << 53) + 1), ("9007199254.740993ms", (1 << 53) + 1),
        ("9223372036854775807ns", (1 << 63) - 1), ("-9223372036854775808ns", -(1 << 63)),
        ("9223372036854775808ns", 'time: invalid duration "9223372036854775808ns"'),
        ("9223372036s1000ms", 'time: invalid duration "9223372036s1000ms"'),
        ("3000000h", 'time: invalid duration "3000000h"'),
        ("99999999999999999999s", 'time: invalid duration "99999999999999999999s"'),
        ("", 'time: invalid duration ""'), ("-", 'time: invalid duration "-"'),
        (".s", 'time: invalid duration ".s"'), ("s", 'time: invalid duration "s"'),
        ("3", 'time: missing unit in duration "3"'),
        ("1 s", 'time: unknown unit " s" in duration "1 s"'),
        ("1d", 'time: unknown unit "d" in duration "1d"'),
    ],
)  # fmt: skip
def test_parse_duration(text: str, expected: int | str) -> None:
    found = times.parse_duration(text)
    assert (found if isinstance(expected, int) else times.message(found)) == expected


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (0, "0s"), (1, "1ns"), (1100, "1.1\u00b5s"), (2200000, "2.2ms"), (3300000000, "3.3s"),
        (245 * BILLION, "4m5s"), (245001000000, "4m5.001s"), (18367001000000, "5h6m7.001s"),
        (480000000001, "8m0.000000001s"), ((1 << 63) - 1, "2562047h47m16.854775807s"),
        (-(1 << 63), "-2562047h47m16.854775808s"), (-5, "-5ns"), (3600 * BILLION, "1h0m0s"),
    ],
)  # fmt: skip
def test_duration_string(duration: int, text: str) -> None:
    assert times.duration_string(duration) == text


@given(INT64)
def test_duration_units(duration: int) -> None:
    whole, rest = divmod(abs(duration), BILLION)
    sign = -1 if duration < 0 else 1
    assert times.duration_seconds(duration) == sign * whole + sign * rest / 1e9
    assert times.duration_minutes(duration) == pytest.approx(duration / 6e10, rel=1e-15)
    assert times.duration_hours(duration) == pytest.approx(duration / 3.6e12, rel=1e-15)
    assert times.duration_nanoseconds(duration) == duration


def test_month_string() -> None:
    assert [times.month_string(i) for i in (1, 5, 12)] == ["January", "May", "December"]
    assert times.month_string(13) == "%!Month(13)"
    assert times.month_string(-1) == "%!Month(18446744073709551615)"


def test_constants() -> None:
    units = ("nanosecond", "microsecond", "millisecond", "second", "minute", "hour")
    assert [getattr(times, unit) for unit in units] == [
        *(1, 10**3, 10**6, 10**9, 60 * 10**9, 3600 * 10**9)
    ]
    assert [getattr(times, month) for month in ("january", "may", "december")] == [1, 5, 12]
    assert len(times.names()) == 15 + 6 + 12 + 35
    assert "in_location" not in times.names()


def test_to_local_and_utc_show_the_same_moment() -> None:
    found = times.parse("2006-01-02 15:04 -0700", "2020-02-03 04:05 +0600")
    for convert in (times.to_local, times.to_utc):
        assert times.time_string(convert(found)) == "2020-02-02 22:05:00 +0000 UTC"
    assert times.time_location(found) == ""


def test_ints_are_times_in_seconds() -> None:
    assert times.time_year(0) == 1970
    assert times.sub(10, 5) == 5 * BILLION


def test_wrong_arguments() -> None:
    with pytest.raises(TengoError, match=r"^wrong number of .* call to 'user-function:'$"):
        times.now(1)
    with pytest.raises(TengoError, match=r"wrong number of arguments"):
        times.date(2020, 1, 1, 0, 0, 0)
    with pytest.raises(
        TengoError,
        match=r"^invalid type for argument 'first' in call to 'user-function:': "
        r"expected time\(compatible\), found string$",
    ):
        times.time_year("x")
    with pytest.raises(TengoError, match=r"'seventh' .* int\(compatible\), found undefined$"):
        times.date(2020, 1, 1, 0, 0, 0, None)
    # Tengo names the type of the first argument there.
    with pytest.raises(TengoError, match=r"'second' .* time\(compatible\), found int$"):
        times.before(0, "x")
    with pytest.raises(TengoError, match=r"'second' .* string\(compatible\), found undefined$"):
        times.time_format(0, None)
