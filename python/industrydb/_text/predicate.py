"""
Translation of Polars' predicates to trees, which each database renders in its own SQL.

A tree is one of these tuples, in which a column is given by its name and a value is a Python object::

    ("and", tree, tree)  ("or", tree, tree)  ("not", tree)
    ("compare", column, operator, value)       an operator is one of = <> < <= > >=
    ("is_null", column)
    ("in", column, (value, ...))               without NULL
    ("starts_with", column, text)  ("ends_with", column, text)  ("contains", column, text)
    ("part", column, part, operator, number)   a part is one of year month day hour minute second
"""

from __future__ import annotations

import json
import struct
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from math import isfinite
from typing import TYPE_CHECKING, Any, TypeAlias

import polars as pl
from polars.exceptions import PolarsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Predicate: TypeAlias = tuple[Any, ...]

# An expression as Polars serializes it to JSON. The format changes between versions, so expressions are only matched
# against patterns: an expression that matches none is not translated.
Node: TypeAlias = Any

# The maximum number of values of an "in". Each is a bound parameter, and databases allow only a few thousand of these.
MAX_VALUES = 1000

_JOINS = {"And": "and", "LogicalAnd": "and", "Or": "or", "LogicalOr": "or"}
_OPERATORS = {"Eq": "=", "NotEq": "<>", "Lt": "<", "LtEq": "<=", "Gt": ">", "GtEq": ">="}
_TURNED = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_ENDS = {"Both": ("GtEq", "LtEq"), "Left": ("GtEq", "Lt"), "Right": ("Gt", "LtEq"), "None": ("Gt", "Lt")}
_SEARCHES = {"StartsWith": "starts_with", "EndsWith": "ends_with"}
_PARTS_OF_DATES = {"Year": "year", "Month": "month", "Day": "day"}
_PARTS = {**_PARTS_OF_DATES, "Hour": "hour", "Minute": "minute", "Second": "second"}
_UNITS: dict[str, Any] = {"Nanoseconds": "ns", "Microseconds": "us", "Milliseconds": "ms"}
_NANOSECONDS = {"ns": 1, "us": 1000, "ms": 1_000_000}
_FLOATS = {"Float32": "f", "Float64": "d"}

# The types of scalars that have no parameters, by all the names that versions of Polars use for them.
_INTEGERS = (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.Int128, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64)
_PLAIN = (pl.Boolean, pl.String, pl.Binary, pl.Date, pl.Time, pl.Float32, pl.Float64)
_SCALARS: dict[str, pl.DataType] = {dtype.__name__: dtype() for dtype in (*_INTEGERS, *_PLAIN)}
_SCALARS |= {"Bool": pl.Boolean(), "StringOwned": pl.String(), "BinaryOwned": pl.Binary()}


class _MisfitError(Exception):
    """An expression has no exact tree."""


def translated(predicate: pl.Expr, schema: Mapping[str, pl.DataType]) -> Predicate | None:
    """
    Translate a predicate to a tree that is true for a superset of its rows.

    In a conjunction, conditions without a translation are left out. The caller must therefore still apply the
    predicate to the rows that the tree keeps.

    Parameters
    ----------
    predicate
        The predicate, as Polars passes it to an IO source.
    schema
        The types of the source's columns.

    Returns
    -------
    tuple or None
        The tree, in the forms that the module's docstring lists, or `None` if nothing can be translated.

    Examples
    --------
    >>> import polars as pl
    >>> from industrydb._text.predicate import translated
    >>> predicate = (pl.col("id") > 5) & (pl.col("name").str.to_lowercase() == "ada")
    >>> translated(predicate, {"id": pl.Int64(), "name": pl.String()})
    ('compare', 'id', '>', 5)
    """
    try:
        node = json.loads(predicate.meta.serialize(format="json"), object_hook=_unnamed)
    except (ValueError, LookupError, TypeError, RecursionError, PolarsError):  # not JSON, or too deep for Python
        return None
    return _tree(node, schema, exact=False)


def _unnamed(node: Node) -> Node:
    """Return the expression inside an alias, which changes no value; return other nodes as they are."""
    match node:
        case {"Alias": [inner, _]}:
            return inner
    return node


def _tree(node: Node, schema: Mapping[str, pl.DataType], *, exact: bool) -> Predicate | None:
    """Return a tree with the same values as the expression, or, unless `exact`, one that is true for more rows."""
    try:
        return _combined(node, schema, exact=exact)
    except Exception:  # noqa: BLE001, an unknown JSON format must not fail the query: it only loses a filter
        return None


def _combined(node: Node, schema: Mapping[str, pl.DataType], *, exact: bool) -> Predicate | None:
    match node:
        case {"BinaryExpr": {"op": op}} if op in _JOINS:
            trees = [_tree(operand, schema, exact=exact) for operand in _operands(node, _JOINS[op])]
            known = [tree for tree in trees if tree is not None]
            # Leaving out a condition of an AND keeps more rows. Leaving out one of an OR loses rows, and a tree below
            # a NOT must be exact.
            may_lack = _JOINS[op] == "and" and not exact
            return _joined(_JOINS[op], known) if known and (may_lack or len(known) == len(trees)) else None
        case {"Function": {"input": [inner], "function": {"Boolean": "Not"}}}:
            tree = _tree(inner, schema, exact=True)
            return None if tree is None else ("not", tree)
        case {"Function": {"input": [value, low, high], "function": {"Boolean": {"IsBetween": {"closed": closed}}}}}:
            above, below = (
                {"BinaryExpr": {"left": value, "op": op, "right": end}}
                for op, end in zip(_ENDS[closed], (low, high), strict=True)
            )
            return _tree({"BinaryExpr": {"left": above, "op": "And", "right": below}}, schema, exact=exact)
    return _leaf(node, schema)


def _operands(node: Node, join: str) -> list[Node]:
    """Return the operands of a chain of the same join; without recursion, since chains can be long."""
    rest, found = [node], []
    while rest:
        match rest.pop():
            case {"BinaryExpr": {"left": left, "op": str(op), "right": right}} if _JOINS.get(op) == join:
                rest += [right, left]
            case operand:
                found.append(operand)
    return found


def _joined(join: str, trees: Sequence[Predicate]) -> Predicate:
    """Join trees to a balanced tree, because databases limit the depth of expressions."""
    if len(trees) == 1:
        return trees[0]
    half = (len(trees) + 1) // 2
    return (join, _joined(join, trees[:half]), _joined(join, trees[half:]))


def _leaf(node: Node, schema: Mapping[str, pl.DataType]) -> Predicate:  # noqa: PLR0911, one for each form
    """Return the exact tree of an expression that contains no other predicates."""
    match node:
        case {"Column": name} if isinstance(schema[name], pl.Boolean):
            return ("compare", name, "=", True)
        case {"BinaryExpr": {"left": left, "op": "EqValidity", "right": right}}:
            tree = _comparison(left, "=", right, schema)
            return ("and", ("not", ("is_null", tree[1])), tree)
        case {"BinaryExpr": {"left": left, "op": "NotEqValidity", "right": right}}:
            tree = _comparison(left, "<>", right, schema)
            return ("or", ("is_null", tree[1]), tree)
        case {"BinaryExpr": {"left": left, "op": op, "right": right}}:
            return _comparison(left, _OPERATORS[op], right, schema)
        case {"Function": {"input": [{"Column": name}], "function": {"Boolean": "IsNull" | "IsNotNull" as function}}}:
            return ("is_null", name) if function == "IsNull" else ("not", ("is_null", name))
        case {"Function": {"input": [value, values], "function": {"Boolean": {"IsIn": {"nulls_equal": False}}}}}:
            return _membership(value, values, schema)
        case {"Function": {"input": [{"Column": name}, text], "function": {"StringExpr": function}}}:
            return _search(name, function, text, schema)
    raise _MisfitError


def _comparison(left: Node, operator: str, right: Node, schema: Mapping[str, pl.DataType]) -> Predicate:
    if "Literal" in left:
        left, operator, right = right, _TURNED[operator], left
    subject, dtype = _subject(left, schema)
    found, value = _literal(right)
    # For a column of microseconds, Polars turns a bound into the last nanosecond of its microsecond.
    if getattr(found, "time_unit", None) == "ns" and not (value + 1) % 1000 and operator in ("<=", ">"):
        operator, value = {"<=": "<", ">": ">="}[operator], value + 1
    return (*subject, operator, _value(value, found, dtype))


def _membership(value: Node, values: Node, schema: Mapping[str, pl.DataType]) -> Predicate:
    subject, dtype = _subject(value, schema)
    found, stored = _members(values)
    members = tuple(_value(member, found, dtype) for member in stored)
    if subject[0] == "part":
        return _joined("or", [(*subject, "=", member) for member in members])
    return ("in", subject[1], members)


def _search(name: str, function: Node, text: Node, schema: Mapping[str, pl.DataType]) -> Predicate:
    found, value = _literal(text)
    searched = _value(value, found, schema[name])
    match function, searched:
        case str(), str() if searched:
            return (_SEARCHES[function], name, searched)
        # A regular expression without any of these characters matches its own text.
        case {"Contains": {"literal": literal}}, str() if searched and (
            literal or not {*searched} & {*r"\.+*?()|[]{}^$"}
        ):
            return ("contains", name, searched)
    raise _MisfitError


def _subject(node: Node, schema: Mapping[str, pl.DataType]) -> tuple[tuple[str, ...], pl.DataType]:
    """Return the first items of a comparison's tree (a column, or a part of a date), and the type of its values."""
    match node:
        case {"Column": name}:
            return ("compare", name), schema[name]
        case {"Function": {"input": [{"Column": name}], "function": {"TemporalExpr": function}}}:
            numbers = pl.Int32() if function == "Year" else pl.Int8()
            match schema[name]:
                case pl.Date():
                    return ("part", name, _PARTS_OF_DATES[function]), numbers
                case pl.Datetime(time_zone=None | "UTC"):
                    return ("part", name, _PARTS[function]), numbers
        case {"Cast": {"expr": inner, "dtype": {"Literal": target} | target}}:
            subject, dtype = _subject(inner, schema)
            if _is_wider(target, dtype):
                return subject, dtype
    raise _MisfitError


def _is_wider(target: Node, dtype: pl.DataType) -> bool:
    """Tell whether a cast to a type changes no value, apart from decimals that are too large, which become NULL."""
    match target, dtype:
        case {"Decimal": [_, scale]}, pl.Decimal():
            return bool(scale >= dtype.scale)
        case str(), _ if dtype.is_integer():
            (low, high), (lowest, highest) = _range(dtype), _range(_SCALARS[target])
            return lowest <= low and high <= highest
    return False


def _range(dtype: pl.DataType) -> tuple[int, int]:
    """Return the smallest and the largest integer of a type."""
    sign, _, bits = str(dtype).partition("Int")
    count: int = 2 ** int(bits)
    return (0, count - 1) if sign == "U" else (-count // 2, count // 2 - 1)


def _literal(node: Node) -> tuple[pl.DataType, Any]:
    """Return the type of a literal, and its value as Polars stores it."""
    match node:
        case {"Literal": {"Dyn": {"Int": value}}}:
            return pl.Int128(), value
        case {"Literal": {"Dyn": {"Float": value}}}:
            return pl.Float64(), value
        case {"Literal": {"Scalar": {"value": {**scalar}} | {**scalar}}}:
            ((kind, content),) = scalar.items()
            return _scalar(kind, content)
    raise _MisfitError


def _scalar(kind: Node, content: Node) -> tuple[pl.DataType, Any]:
    match kind, content:
        case (("Datetime" | "DatetimeOwned"), [value, unit, zone]):
            return pl.Datetime(_UNITS[unit], None if zone is None else "UTC"), value
        case "Duration", [value, unit]:
            return pl.Duration(_UNITS[unit]), value
        case "Decimal", [value, *_, scale]:
            return pl.Decimal(38, scale), value
        case (("Binary" | "BinaryOwned"), _):
            return pl.Binary(), bytes(content)
        case "Float32", _:
            # The JSON has the shortest digits of the 32-bit float, which as a 64-bit float are another number.
            return pl.Float32(), _rounded(content, "Float32")
    return _SCALARS[kind], content


def _members(node: Node) -> tuple[pl.DataType, list[Any]]:
    """Return the type of a list, and its values as Polars stores them, without NULL, which is equal to nothing."""
    match node:
        case {"Literal": {"Scalar": {"List": content} | {"value": {"List": content}}} | {"Series": content}}:
            series = pl.read_ipc_stream(bytes(content)).to_series().drop_nulls()
            if 0 < len(series) <= MAX_VALUES:
                return series.dtype, series.to_physical().to_list()
    raise _MisfitError


def _rounded(value: float, kind: str) -> float:
    rounded: float
    (rounded,) = struct.unpack(_FLOATS[kind], struct.pack(_FLOATS[kind], value))
    return rounded


def _value(value: Any, found: pl.DataType, dtype: pl.DataType) -> object:  # noqa: ANN401, PLR0911, one for each type
    """Return a stored value as a Python object; raise if it cannot be compared exactly with a column of `dtype`."""
    match dtype, found:
        case (pl.Boolean(), pl.Boolean()) | (pl.String(), pl.String()) | (pl.Binary(), pl.Binary()):
            return value
        case _ if dtype.is_float() and found.is_float() and isfinite(value) and _rounded(value, str(dtype)) == value:
            return value
        case _ if dtype.is_integer() and found.is_integer() and _range(dtype)[0] <= value <= _range(dtype)[1]:
            return value
        case pl.Decimal(), pl.Decimal():
            return Decimal(f"{value}e-{found.scale}")  # arithmetic would round
        case pl.Decimal(), _ if found.is_integer():
            return int(value)
        case pl.Date(), pl.Date():
            return date(1970, 1, 1) + timedelta(days=value)
        case pl.Time(), pl.Time():
            return (datetime(1, 1, 1) + _elapsed(value, "ns")).time()  # noqa: DTZ001, a time of no day
        case pl.Duration(time_unit=unit), pl.Duration(time_unit=same) if unit == same:
            return _elapsed(value, unit)
        case pl.Datetime(time_unit=unit, time_zone=zone), pl.Datetime(time_unit=same, time_zone=other) if (
            unit == same and (zone is None) == (other is None)
        ):
            # A point in time is the same in all zones.
            return datetime(1970, 1, 1, tzinfo=None if zone is None else timezone.utc) + _elapsed(value, unit)
    raise _MisfitError


def _elapsed(value: int, unit: str) -> timedelta:
    """Return a stored time as a `timedelta`; raise if it has nanoseconds, which a `timedelta` cannot hold."""
    nanoseconds = value * _NANOSECONDS[unit]
    if nanoseconds % 1000:
        raise _MisfitError
    return timedelta(microseconds=nanoseconds // 1000)
