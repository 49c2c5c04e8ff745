"""The envelope of an artifact: a header and named sections of bytes, each with its digest.

Never a pickle; reading it executes nothing. Numbers are little-endian.

    bytes  field
    4      magic, `GOLF`
    2      version, 1
    4      length n of the header, at most 1 MiB
    32     SHA-256 of the header
    n      header: a JSON object, in UTF-8 with sorted keys and no spaces; no other spelling is read
    ...    the sections back to back; nothing follows the last

The header lists the sections in order, {"name", "raw_bytes", "sha256", "stored_bytes"}: the digest and the stored size
are those of the bytes in the file, the raw size that of the decoded bytes. `golf.io.artifact` describes other fields.

Digests detect damage. Against hostile files, sizes are checked before memory is allocated, within the limits below.
"""

import hashlib
import json
import os
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from golf.errors import UserError

MAGIC = b"GOLF"
VERSION = 1
PREAMBLE = struct.Struct("<4sHI32s")
SECTIONS_FORM = [{"name": str, "raw_bytes": int, "sha256": str, "stored_bytes": int}]

MAX_HEADER_BYTES = 1 << 20
MAX_SECTIONS_BYTES = 1 << 30  # of all sections together, stored as well as raw


class ArtifactError(UserError):
    """The file cannot be read as an artifact, or the state cannot be stored as one."""


class VersionError(ArtifactError):
    """Not an artifact, or one of another version."""


class SizeError(ArtifactError):
    """Truncated, followed by other bytes, above a limit, or sizes that contradict each other."""


class DigestError(ArtifactError):
    """Bytes have changed since they were written."""


class ContentError(ArtifactError):
    """A field is missing, has the wrong type or an invalid value."""


class Section(NamedTuple):
    """Name, stored bytes, and the size of the decoded bytes."""

    name: str
    stored: bytes
    raw_bytes: int


def write_container(path: Path, fields: Mapping[str, Any], sections: Sequence[Section]) -> int:
    """Write a header of `fields` and the `sections`; returns the size of the file in bytes."""
    listed = [
        {
            "name": section.name,
            "raw_bytes": section.raw_bytes,
            "sha256": hashlib.sha256(section.stored).hexdigest(),
            "stored_bytes": len(section.stored),
        }
        for section in sections
    ]
    header = to_json("header", {**fields, "sections": listed})
    with open(path, "wb") as file:
        file.write(PREAMBLE.pack(MAGIC, VERSION, len(header), hashlib.sha256(header).digest()) + header)
        file.writelines(section.stored for section in sections)
        return file.tell()


def read_container(path: Path) -> tuple[dict[str, Any], list[Section]]:
    """The fields of the header and the sections, every size and digest checked.

    Raises an ArtifactError, which names the field but not the file, or OSError.
    """
    with open(path, "rb") as file:
        preamble = file.read(PREAMBLE.size)
        require(preamble.startswith(MAGIC), "magic: not an artifact", VersionError)
        require(len(preamble) == PREAMBLE.size, "header: truncated", SizeError)
        _, version, header_bytes, digest = PREAMBLE.unpack(preamble)
        require(version == VERSION, f"version: is {version}, only {VERSION} can be read", VersionError)
        rest = os.fstat(file.fileno()).st_size - PREAMBLE.size
        require(header_bytes <= MAX_HEADER_BYTES, f"header: longer than {MAX_HEADER_BYTES} bytes", SizeError)
        require(header_bytes <= rest, "header: truncated", SizeError)
        header = file.read(header_bytes)
        require(hashlib.sha256(header).digest() == digest, "header: damaged, its digest differs", DigestError)

        fields = from_json("header", header)
        require(isinstance(fields, dict), "header: is not an object")
        listed = fields.pop("sections", None)
        _check_sizes(listed, rest - header_bytes)
        sections = [Section(entry["name"], file.read(entry["stored_bytes"]), entry["raw_bytes"]) for entry in listed]
    for section, entry in zip(sections, listed, strict=True):
        digest = hashlib.sha256(section.stored).hexdigest()
        require(digest == entry["sha256"], f"{section.name!r}: damaged, its digest differs", DigestError)
    return fields, sections


def _check_sizes(listed: Any, available: int) -> None:
    expect("sections", listed, SECTIONS_FORM)
    for size in ("stored_bytes", "raw_bytes"):
        sizes = [entry[size] for entry in listed]
        require(min(sizes, default=0) >= 0, f"sections: negative {size}", SizeError)
        require(sum(sizes) <= MAX_SECTIONS_BYTES, f"sections: {size} above {MAX_SECTIONS_BYTES}", SizeError)
    stored = sum(entry["stored_bytes"] for entry in listed)
    require(stored == available, f"sections: {stored} bytes listed, {available} in the file", SizeError)


def require(holds: bool, problem: str, error: type[ArtifactError] = ContentError) -> None:
    """Raise `error` unless the condition holds."""
    if not holds:
        raise error(problem)


def expect(field: str, value: Any, form: Any) -> None:
    """Raise ContentError unless a JSON value has the form: a type, {key: form}, [form] or, for a tuple, (form, …)."""
    if isinstance(form, dict):
        require(isinstance(value, dict) and value.keys() == form.keys(), f"{field}: fields are not {', '.join(form)}")
        for key, inner in form.items():
            expect(f"{field}.{key}", value[key], inner)
    elif isinstance(form, list | tuple):
        require(isinstance(value, list), f"{field}: is not a list")
        forms = form * len(value) if isinstance(form, list) else form
        require(len(value) == len(forms), f"{field}: must have {len(forms)} elements")
        for position, inner in enumerate(forms):
            expect(f"{field}[{position}]", value[position], inner)
    else:
        require(type(value) is form, f"{field}: is not of type {form.__name__}")


def to_json(field: str, value: Any) -> bytes:
    """`value` as canonical JSON, the only form that is read."""
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return text.encode()
    except (ValueError, TypeError, RecursionError) as error:
        raise ContentError(f"{field}: is not JSON ({error})") from error


def from_json(field: str, data: bytes) -> Any:
    """The inverse of `to_json`; raises ContentError for JSON that is not canonical."""
    try:
        value = json.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise ContentError(f"{field}: is not JSON ({error})") from error
    require(to_json(field, value) == data, f"{field}: is not in the canonical form of JSON")
    return value
