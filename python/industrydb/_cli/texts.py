"""Columns made from texts, such as those of a CSV file: each value is exactly what its text says, or NULL."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Literal

import polars as pl
from polars.exceptions import PolarsError

if TYPE_CHECKING:
    from collections.abc import Callable

# Parts of texts as in ISO 8601. A day's year may have a sign and more than four digits, as Polars writes it.
DAY = r"(?<day>[+-]?[0-9]{4,6}-[0-9][0-9]-[0-9][0-9])"
CLOCK = r"(?<hour>[01][0-9]|2[0-3]):(?<minute>[0-5][0-9])(?::(?<second>[0-5][0-9])(?:[.](?<fraction>[0-9]{1,9}))?)?"
OFFSET = r"(?<offset>Z|(?<sign>[+-])(?<hours>[01][0-9]|2[0-3])(?::?(?<minutes>[0-5][0-9]))?)"
DATETIME = rf"^{DAY}(?:[T ]{CLOCK}{OFFSET}?)?$"

NS_PER_S = 1_000_000_000
S_PER_DAY = 86_400
UNITS_PER_S = {"ms": 1_000, "us": 1_000_000, "ns": NS_PER_S}

BOOLEANS = {"true": True, "false": False, "1": True, "0": False}

# The types that a column of texts may have without being asked for, in the order in which they are tried.
GUESSES = (pl.Int64(), pl.Float64(), pl.Boolean(), pl.Date(), pl.Datetime("us"), pl.Time())

# How many texts are looked at before all of them are.
SAMPLE = 1_000


def guessed(text: pl.Series) -> pl.Series:
    """Return texts as the first type from whose values every text can be written again, or as they are."""
    if text.null_count() == len(text):
        return text
    for dtype in GUESSES:
        if _is_written_again(text.drop_nulls().head(SAMPLE), dtype) and _is_written_again(text, dtype):
            return from_text(text, dtype)
    return text


def _is_written_again(text: pl.Series, dtype: pl.DataType) -> bool:
    written = from_text(text, dtype).cast(pl.String)
    is_same: bool = _shortest(written, dtype).equals(_shortest(text, dtype))
    return is_same


def _shortest(text: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Return the texts of floats and times without the zeros at their ends, which versions of Polars write or not."""
    if dtype.is_float() or dtype in {pl.Datetime("us"), pl.Time()}:
        plain = text.str.replace(r"(\d)T(\d)", "$1 $2").str.replace(r"(\d)e[+](\d)", "${1}e$2")
        text = plain.str.replace(r"(\.\d*?)0+$", "$1").str.strip_suffix(".")
    return text


def from_text(text: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Return texts as values of a type. A text that is no value of the type becomes NULL."""
    conversion = CONVERSIONS.get(type(dtype), _cast)
    return conversion(text, dtype).rename(text.name)


def _cast(text: pl.Series, dtype: pl.DataType) -> pl.Series:
    cast = pl.Series([None] * len(text), dtype=dtype)
    with suppress(PolarsError):  # it raises for types that no text becomes
        if not dtype.is_nested():  # old versions of Polars would make lists of single texts
            cast = text.cast(dtype, strict=False)
    return cast


def _boolean(text: pl.Series, _: pl.DataType) -> pl.Series:
    found: pl.Series = text.str.to_lowercase().replace_strict(BOOLEANS, default=None, return_dtype=pl.Boolean)
    return found


def _decimal(text: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Return decimals; Polars would round those with more digits than the type has."""
    scale = getattr(dtype, "scale", 0)
    below_one = rf"|\.[0-9]{{1,{scale}}}" if scale else ""
    exact = text.str.extract(rf"^[+]?(-?(?:[0-9]+(?:\.[0-9]{{0,{scale}}})?{below_one}))0*$")
    return _cast(exact, dtype)


def _date(text: pl.Series, _: pl.DataType) -> pl.Series:
    return text.str.extract(rf"^{DAY}$").str.strptime(pl.Date, "%Y-%m-%d", strict=False)


def _time(text: pl.Series, _: pl.DataType) -> pl.Series:
    parts = text.str.extract_groups(rf"^{CLOCK}$").struct.unnest()
    return parts.select((_seconds() * NS_PER_S + _fraction_ns()).cast(pl.Time)).to_series()


def _datetime(text: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Return datetimes; in a column with a time zone, a text without an offset is a time on the clocks of the zone."""
    unit: Literal["ms", "us", "ns"] = getattr(dtype, "time_unit", "us")
    zone: str | None = getattr(dtype, "time_zone", None)
    per_s = UNITS_PER_S[unit]
    ns_per_unit = NS_PER_S // per_s
    most_days = 2**63 // (S_PER_DAY * per_s) - 1
    parts = text.str.extract_groups(DATETIME).struct.unnest()
    days = pl.col("day").str.strptime(pl.Date, "%Y-%m-%d", strict=False).cast(pl.Int32).cast(pl.Int64)
    seconds = pl.when(pl.col("hour").is_null()).then(0).otherwise(_seconds())
    fits = days.is_between(-most_days, most_days) & (_fraction_ns() % ns_per_unit == 0)
    local = pl.when(fits).then((days * S_PER_DAY + seconds) * per_s + _fraction_ns() // ns_per_unit)
    has_offset = pl.col("offset").is_not_null()
    if zone is None:
        return parts.select(pl.when(~has_offset).then(local).cast(pl.Datetime(unit))).to_series()
    instant = (local - _offset_s() * per_s).cast(pl.Datetime(unit, "UTC")).dt.convert_time_zone(zone)
    clock = pl.when(~has_offset).then(local).cast(pl.Datetime(unit))
    zoned = clock.dt.replace_time_zone(zone, ambiguous="null", non_existent="null")
    return parts.select(pl.when(has_offset).then(instant).otherwise(zoned)).to_series()


def _seconds() -> pl.Expr:
    """Return the seconds since midnight."""
    return _number("hour") * 3600 + _number("minute") * 60 + _number("second").fill_null(0)


def _fraction_ns() -> pl.Expr:
    return pl.col("fraction").str.pad_end(9, "0").cast(pl.Int64).fill_null(0)


def _offset_s() -> pl.Expr:
    size = _number("hours").fill_null(0) * 3600 + _number("minutes").fill_null(0) * 60
    return pl.when(pl.col("sign") == "-").then(-size).otherwise(size)


def _number(part: str) -> pl.Expr:
    return pl.col(part).cast(pl.Int64)


# The types that Polars does not make from texts, or not exactly, or not in each of its versions.
CONVERSIONS: dict[type[pl.DataType], Callable[[pl.Series, pl.DataType], pl.Series]] = {
    pl.Boolean: _boolean,
    pl.Decimal: _decimal,
    pl.Date: _date,
    pl.Time: _time,
    pl.Datetime: _datetime,
}
