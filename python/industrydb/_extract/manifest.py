"""``manifest.json``: the description of an extract, and the state of its files."""

from __future__ import annotations

import hashlib
import json
import platform
import re
import secrets
from dataclasses import asdict, dataclass, field, fields
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

import polars as pl

from industrydb._extract.files import replacing
from industrydb.industrydb import ConfigurationError, DatabaseConfig, __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from industrydb._request import Request

MANIFEST = "manifest.json"
FORMAT_VERSION = 1

# Any value that `json` reads and writes.
Json: TypeAlias = Any

# The names of an extract's files; a manifest that lists any other name is refused.
FILE_NAME = re.compile(r"part-\d{5,}(-\d{5,})?\.(parquet|ipc|csv)")

Made = TypeVar("Made", "Finished", "Part", "Snapshot")


def _integer(text: str) -> int:
    """Parse an integer; raise if it does not fit into 64 bits, with or without a sign."""
    value = int(text)
    if not -(2**63) <= value < 2**64:
        msg = f"{value} is no integer of 64 bits"
        raise ValueError(msg)
    return value


# The value of the `since` column up to which one call reads, and above which the next one begins: a number, a date or a
# datetime.
Watermark: TypeAlias = Any
WATERMARKS: dict[str, Any] = {
    "int": _integer,
    "Decimal": Decimal,
    "date": date.fromisoformat,
    "datetime": datetime.fromisoformat,
}


def now() -> str:
    """Return the current time in UTC, in ISO format."""
    return datetime.now(timezone.utc).isoformat()


@dataclass
class Finished:
    """A finished file of the extract: its size, its checksum, and the snapshot that it was read in."""

    rows: int
    bytes: int
    sha256: str
    snapshot: int


@dataclass
class Part:
    """A partition, and its file."""

    name: str
    sql: str
    estimated_rows: int | None
    attempts: int = 0
    finished: Finished | None = None


@dataclass
class Snapshot:
    """A snapshot that partitions were read in; `shared` tells whether all of them saw one state of the database."""

    number: int
    taken_at: str
    shared: bool


@dataclass
class Generation:
    """The partitions that one call reads: all rows, or with `since` the rows above one watermark, up to another."""

    number: int
    parts: list[Part]
    above: Watermark | None = None
    up_to: Watermark | None = None


@dataclass
class Manifest:
    """The recorded state of an extract; `job` has the arguments that must be the same in every call that resumes it."""

    job: dict[str, Json]
    generations: list[Generation]
    schema: pl.Schema | None = None
    snapshots: list[Snapshot] = field(default_factory=list)
    state: str = "running"
    error: str | None = None
    created: str = field(default_factory=now)
    updated: str = field(default_factory=now)

    @property
    def parts(self) -> list[Part]:
        """All partitions, in the order of their rows."""
        return [part for generation in self.generations for part in generation.parts]

    def save(self, folder: Path) -> None:
        """Write the manifest to its file, which is replaced atomically."""
        self.updated = now()
        generations = [
            {
                "number": generation.number,
                "above": _encoded_watermark(generation.above),
                "up_to": _encoded_watermark(generation.up_to),
                "parts": [asdict(part) for part in generation.parts],
            }
            for generation in self.generations
        ]
        columns = None if self.schema is None else [[name, encoded(dtype)] for name, dtype in self.schema.items()]
        values = {
            "format_version": FORMAT_VERSION,
            "job": self.job,
            "generations": generations,
            "schema": columns,
            "snapshots": [asdict(snapshot) for snapshot in self.snapshots],
            "state": self.state,
            "error": self.error,
            "created": self.created,
            "updated": self.updated,
            "versions": {"industrydb": __version__, "polars": pl.__version__, "python": platform.python_version()},
        }
        text = json.dumps(values, indent=2, sort_keys=True, ensure_ascii=False)
        with replacing(folder / MANIFEST) as path:
            # A lone surrogate cannot be encoded in UTF-8; no database has one in a text either.
            path.write_text(f"{text}\n", encoding="utf-8", errors="backslashreplace")


def load(folder: Path) -> Manifest | None:
    """Read a folder's manifest; return `None` if there is none."""
    path = folder / MANIFEST
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise _unreadable(path, error) from None
    try:
        values = json.loads(text)
        version = values["format_version"]
        if version == FORMAT_VERSION:
            return _decoded_manifest(values)
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError) as error:
        raise _unreadable(path, error) from None
    msg = f"{path} has format version {version!r}, and this version of industrydb reads {FORMAT_VERSION}"
    raise ConfigurationError(msg)


def _unreadable(path: Path, error: Exception) -> ConfigurationError:
    msg = f"{path} is no manifest of an extract ({type(error).__name__}: {error}): use an empty directory"
    return ConfigurationError(msg)


def _decoded_manifest(values: Json) -> Manifest:
    columns = values["schema"]
    return Manifest(
        job=dict(values["job"]),
        generations=[
            Generation(
                number=number,
                parts=[_decoded_part(part) for part in generation["parts"]],
                above=_decoded_watermark(generation["above"]),
                up_to=_decoded_watermark(generation["up_to"]),
            )
            for number, generation in enumerate(values["generations"])
        ],
        schema=None if columns is None else pl.Schema([(_text(name), decoded(dtype)) for name, dtype in columns]),
        snapshots=[_checked(Snapshot(**snapshot)) for snapshot in values["snapshots"]],
        state=_text(values["state"]),
        error=None if values["error"] is None else _text(values["error"]),
        created=_text(values["created"]),
        updated=datetime.fromisoformat(values["updated"]).isoformat(),
    )


def _decoded_part(values: Json) -> Part:
    if not FILE_NAME.fullmatch(values["name"]):
        msg = f"{values['name']!r} is no file of an extract"
        raise ValueError(msg)
    finished = values["finished"]
    return _checked(Part(**{**values, "finished": None if finished is None else _checked(Finished(**finished))}))


def _text(value: Json) -> str:
    if not isinstance(value, str):
        msg = f"{value!r} is no text"
        raise TypeError(msg)
    return value


def _checked(made: Made) -> Made:
    """Return a dataclass; raise if the value of a field is not of the type in the field's annotation."""
    for part in fields(made):
        value, names = getattr(made, part.name), str(part.type).replace("None", "NoneType").split(" | ")
        if type(value).__name__ not in names:
            msg = f"{part.name} is {value!r}"
            raise TypeError(msg)
    return made


def _encoded_watermark(value: Watermark | None) -> Json:
    if value is None:
        return None
    return {"type": type(value).__name__, "value": value.isoformat() if isinstance(value, date) else str(value)}


def _decoded_watermark(value: Json) -> Watermark | None:
    if value is None:
        return None
    return WATERMARKS[value["type"]](value["value"])


# Data types are encoded as their name, or as a list of name and parameters: "Int64", ["Datetime", "us", "UTC"], …

# The parameters of the data types that have any.
PARTS: dict[type[pl.DataType], tuple[str, ...]] = {
    pl.Decimal: ("precision", "scale"),
    pl.Datetime: ("time_unit", "time_zone"),
    pl.Duration: ("time_unit",),
    pl.Enum: ("categories",),
    pl.List: ("inner",),
    pl.Array: ("inner", "size"),
    pl.Struct: ("fields",),
}

# All other data types that a column can have.
PLAIN = (
    *(pl.Boolean, pl.String, pl.Binary, pl.Date, pl.Time, pl.Null, pl.Categorical),
    *(pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64, pl.Float32, pl.Float64),
)
NAMES: dict[str, Any] = dict(zip(map(str, (*PARTS, *PLAIN)), (*PARTS, *PLAIN), strict=True))


def encoded(dtype: pl.DataType) -> Json:
    """Return a data type as JSON, without loss, and in the same form with every version of Polars."""
    name = type(dtype).__name__
    parts = [_encoded_part(getattr(dtype, part)) for part in PARTS.get(type(dtype), ())]
    return [name, *parts] if parts else name


def _encoded_part(part: object) -> Json:
    if isinstance(part, pl.DataType):
        return encoded(part)
    if isinstance(part, pl.Series):
        return part.to_list()
    if isinstance(part, list):
        return [[entry.name, encoded(entry.dtype)] for entry in part]
    return part


def decoded(value: Json) -> pl.DataType:
    """Return the data type of a value that `encoded` has made."""
    name, *parts = value if isinstance(value, list) else [value]
    if name == "Struct":
        parts = [[pl.Field(field_name, decoded(dtype)) for field_name, dtype in parts[0]]]
    elif name in ("List", "Array"):
        parts[0] = decoded(parts[0])
    dtype: pl.DataType = NAMES[name](*parts)
    return dtype


# The job of an extract


def job(call: Request, **arguments: Json) -> dict[str, Json]:
    """Return the arguments that must be the same in every call that resumes an extract; secrets become digests."""
    for name, dtype in call.dtypes.items():
        if decoded(encoded(dtype)) != dtype:
            msg = f"an extract cannot keep the type of column {name!r}, {dtype!r}: ask for pl.Categorical or pl.Enum"
            raise ConfigurationError(msg)
    return {
        "database": _identity(call.uri),
        "queries": list(call.queries),
        "params": digest(call.parameters) if call.parameters else None,
        "pre_execution_query": digest(call.setup) if call.setup else None,
        "schema_overrides": [[name, encoded(dtype)] for name, dtype in sorted(call.dtypes.items())],
        **arguments,
    }


def _identity(uri: str) -> str:
    """Return the URI without its password, and with the absolute path of a file."""
    config = DatabaseConfig.from_uri(uri)
    if config.path is not None and config.path != ":memory:":
        config = DatabaseConfig.from_dict({**config.to_dict(), "path": Path(config.path).absolute()})
    return config.to_uri()


def digest(values: object, salt: str | None = None) -> str:
    """Return a salted hash of values, to compare them without storing them."""
    salt = salt or secrets.token_hex(16)
    key = hashlib.scrypt(repr(_typed(values)).encode(errors="backslashreplace"), salt=salt.encode(), n=2**12, r=8, p=1)
    return f"{salt}:{key.hex()[:64]}"


def _typed(value: object) -> object:
    """Return a value with its type's name, so that different values never have the same `repr`."""
    if isinstance(value, dict):
        return sorted((name, _typed(inner)) for name, inner in value.items())
    if isinstance(value, (list, tuple)):
        return [_typed(inner) for inner in value]
    return type(value).__name__, repr(value)


class Difference(NamedTuple):
    """An argument in which a call differs from the job of its directory's extract."""

    name: str
    now: Json = None
    before: Json = None
    # Whether only hashes of the values are kept, which are not shown.
    is_hidden: bool = False

    def __str__(self) -> str:
        """Return the difference for a message."""
        if self.is_hidden:
            return f"{self.name} has other values"
        return f"{self.name} is {self.now!r}, and was {self.before!r}"


def differences(manifest: Manifest, call: Request, asked: Mapping[str, Json]) -> list[Difference]:
    """Return the differences between a call and a manifest's job."""
    secret = {"params": call.parameters, "pre_execution_query": call.setup}
    found = []
    for name, value in asked.items():
        kept = manifest.job.get(name)
        if name not in secret:
            if kept != value:
                found.append(Difference(name, value, kept))
        elif (kept is None) != (value is None) or (
            kept is not None and digest(secret[name], kept.partition(":")[0]) != kept
        ):
            found.append(Difference(name, is_hidden=True))
    return found
