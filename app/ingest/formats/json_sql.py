"""The SELECT that turns JSON records into rows.

Most records are clean, and that is proved cheaply: a record has at least as many keys as known columns were
found in it that are not null, and at most `keys` (see `lines`). Where both are equal, there is no other key and
none twice. Only the remaining records ("odd") are looked at key by key.

Keys are matched by their exact name. When a key stands twice, the first is taken and the others are rescued. A
null under an unknown key is not rescued: there is no value to lose.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from app.datatypes import Column, DataType, TableSchema, duckdb_name, duckdb_text
from app.ingest.formats.base import FILE, RAW_LIMIT, REJECT, RESCUED
from app.ingest.formats.json_numbers import bent, marked, marked_if_odd, unmarked
from app.ingest.formats.json_values import Values, any_value, holds_struct, names_sql, pointer, sql_text, structure
from app.ingest.formats.rows_sql import balanced

Path = tuple[Column, ...]

MALFORMED = "malformed: the record is not valid JSON"
NOT_AN_OBJECT = "not-an-object: the record is JSON, but not an object"


class RecordSql:
    """Expressions over one schema. `source` is the relation of `lines.batches`."""

    def __init__(self, schema: TableSchema, options: Mapping[str, object], *, ignores: bool = False) -> None:
        """`ignores`: keys that the schema lacks are left out, and so are those that stand twice but for the first."""
        self.columns = schema.columns
        self.ignores = ignores
        self.values = Values.of(options, "text", "bent")

    def rows(self, source: str, *, quick: bool = False) -> str:
        """The SELECT that `Reading.rows` promises; `quick`: `source` has records that the quick reader has read."""
        names = [f"__v{i} AS {duckdb_name(column.name)}" for i, column in enumerate(self.columns)]
        added = [f"file AS {FILE}", f"{self._rescued()} AS {RESCUED}", f"{self._reject()} AS {REJECT}"]
        return f"SELECT {', '.join(names + added)} FROM ({self._judged(source, quick=quick)})"

    def rejects(self, source: str, *, rescued_too: bool) -> str:
        """The SELECT that `Reading.rejects` promises; `source` is located."""
        reason = "reject"
        if rescued_too:
            reason = "coalesce(reject, 'does-not-fit: ' || left(rescued, 1000))"
        raw = "rtrim(text, chr(10) || chr(13) || ' ')"
        short = f"left({raw}, {RAW_LIMIT})"
        cut = f"CASE WHEN strlen({short}) > {RAW_LIMIT} THEN left({raw}, {RAW_LIMIT // 4}) ELSE {short} END"
        rescued = self._rescued() if rescued_too else "NULL::VARCHAR"
        judged = f'SELECT file, line, "offset", raw, text, {self._reject()} AS reject, {rescued} AS rescued'
        judged += f" FROM ({self._judged(source, located=True)})"
        return (
            f'SELECT file AS file_id, line, "offset" AS byte_offset, {reason} AS reason, coalesce(raw, {cut}) AS raw'
            f" FROM ({judged}) WHERE {reason} IS NOT NULL"
        )

    # --- the layers: parsed, converted, judged

    def _judged(self, source: str, *, located: bool = False, quick: bool = False) -> str:
        more = ', line, "offset", raw' if located else ", quick" if quick else ""

        def unless_quick(expression: str, value: str) -> str:
            """DuckDB computes no branch that no record of a vector takes: what was read quickly costs nothing here."""
            return f"CASE WHEN quick THEN {value} ELSE {expression} END" if quick else expression

        wanted = {column.name: structure(column.type) for column in self.columns}
        shape = duckdb_text(json.dumps(wanted or "JSON"))  # DuckDB takes no object without members
        # TRY is dear where it catches: the whole vector is parsed once more, row by row.
        sound = (
            f"CASE WHEN bent THEN CASE WHEN json_valid(text) THEN {marked('text')} END"
            " WHEN doubt AND NOT json_valid(text) THEN NULL ELSE text END"
        )
        kept = f"file, text, keys, flaw{more}, bent"
        doubted = f"SELECT *, {unless_quick(bent('text', self.columns), 'false')} AS bent FROM {source}"
        read = "".join(f", q{i}" for i in range(len(self.columns))) if quick else ""
        x = unless_quick(f"TRY(from_json({sound}, {shape}))", "NULL")
        parsed = f"SELECT {kept}{read}, {x} AS x FROM ({doubted})"
        converted = ", ".join(
            f"{unless_quick(self.values.at(_parsed((column,)), column.type, pointer(column.name)), f'q{i}')} AS __v{i}"
            for i, column in enumerate(self.columns)
        )
        layer = f"SELECT {kept}, x, {converted} FROM ({parsed})"
        judged = f"SELECT *, ({unless_quick(self._odd(), 'false')}) AS odd FROM ({layer})"
        is_object = "odd AND flaw IS NULL AND json_valid(text) AND json_type(text) = 'OBJECT'"
        return f"SELECT *, CASE WHEN {is_object} THEN {marked_if_odd('text')} END AS object FROM ({judged})"

    def _odd(self) -> str:
        if not self.columns:
            return "true"
        looked = _leaves(self.columns)
        found = balanced(
            [f"CAST({any_value(_parsed(path), path[-1].type)} AS INTEGER)" for path in _known(self.columns)], "+", "0"
        )
        unsure = f"CASE WHEN keys <> ({found}) OR keys = 0 THEN x IS NULL OR NOT {self._plain()} ELSE false END"
        if self.ignores:  # what has a known key is an object
            other = "CASE WHEN x IS NULL THEN true ELSE json_type(text) <> 'OBJECT' END"
            unsure = f"CASE WHEN ({found}) = 0 THEN {other} ELSE false END"
            looked = _known(self.columns)  # no count of keys shows a struct that is no object
        return balanced([unsure, *(f"({self._strange(path)})" for path in looked)], "OR", "false")

    def _plain(self) -> str:
        """Exactly the columns as keys, in order, in each object."""
        objects = [
            ((), self.columns),
            *((path, path[-1].type.fields) for path in _known(self.columns) if _is_struct(path)),
        ]
        paths = ", ".join(sql_text(_pointer(path)) if path else "'$'" for path, _ in objects)
        wanted = ", ".join(names_sql(members) for _, members in objects)
        return f"coalesce(TRY(json_keys(text, [{paths}])) = [{wanted}], false)"

    def _strange(self, path: Path) -> str:
        """The value is there and does not fit, or objects inside it have keys that their struct lacks."""
        misfit = f"{_parsed(path)} IS NOT NULL AND {self._converted(path)} IS NULL"
        extra = self._extra(path)
        return f"{misfit} OR {extra}" if extra else misfit

    def _extra(self, path: Path) -> str:
        kind = path[-1].type
        if self.ignores or not holds_struct(kind):
            return ""
        return f"coalesce({self._unknown_inside(_parsed(path), kind)}, false)"

    def _unknown_inside(self, raw: str, kind: DataType) -> str:
        """SQL: somewhere in this JSON text an object has keys its struct lacks, or one key twice."""
        if kind.name == "struct":
            keys = f"json_keys({raw})"
            here = f"(NOT list_has_all({names_sql(kind.fields)}, {keys}) OR len({keys}) <> len(list_distinct({keys})))"
            deeper = [
                self._unknown_inside(f"json_extract({raw}, {sql_text(_pointer((member,)))})", member.type)
                for member in kind.fields
                if member.type.name == "struct" or holds_struct(member.type)
            ]
            return " OR ".join(
                [f"(json_type({raw}) = 'OBJECT' AND {here})", *(f"coalesce({d}, false)" for d in deeper)]
            )
        if kind.element is None:
            return "false"
        name = self.values.variable()
        items = f"from_json({raw}, '[\"JSON\"]')" if kind.name == "array" else f"json_extract({raw}, '$.*')"
        return f"list_bool_or(list_transform({items}, lambda {name}: {self._unknown_inside(name, kind.element.type)}))"

    # --- verdicts on odd records

    def _reject(self) -> str:
        cases = [
            "WHEN flaw IS NOT NULL THEN flaw",
            f"WHEN NOT json_valid(text) THEN {sql_text(MALFORMED)}",
            f"WHEN json_type(text) <> 'OBJECT' THEN {sql_text(NOT_AN_OBJECT)}",
        ]
        verdict = f"CASE WHEN odd THEN CASE {' '.join(cases)} END END"
        required = [(i, column) for i, column in enumerate(self.columns) if column.required]
        if not required:
            return verdict
        missing = " ".join(
            f"WHEN __v{i} IS NULL THEN {sql_text(f'null-in-required: {column.name}')}" for i, column in required
        )
        return f"coalesce({verdict}, CASE {missing} END)"

    def _rescued(self) -> str:
        parts = f"flatten([{', '.join(self._parts('object', (), self.columns))}])"
        name = self.values.variable()
        text = unmarked(f"'{{' || array_to_string({name}, ',') || '}}'")
        whole = f"list_transform([{parts}], lambda {name}: CASE WHEN len({name}) > 0 THEN {text} END)[1]"
        return f"CASE WHEN object IS NOT NULL THEN {whole} END"

    def _parts(self, raw: str, path: Path, members: tuple[Column, ...]) -> Iterator[str]:
        """Lists of `"key":value` texts: the unknown keys of one object, then each member that does not fit."""
        if not self.ignores:
            yield self._unknown(raw, path, members)
        for member in members:
            here = (*path, member)
            value = f"json_extract(object, {sql_text(_pointer(here))})"
            kept = f"[{sql_text(json.dumps(_dotted(here), ensure_ascii=False) + ':')} || CAST({value} AS VARCHAR)]"
            if member.type.name == "struct":
                inner = f"flatten([{', '.join(self._parts(value, here, member.type.fields))}])"
                kind = f"coalesce(json_type({value}), 'NULL')"
                yield f"CASE WHEN {kind} = 'OBJECT' THEN {inner} WHEN {kind} = 'NULL' THEN [] ELSE {kept} END"
            else:
                yield f"CASE WHEN {self._strange(here)} THEN {kept} ELSE [] END"

    def _unknown(self, raw: str, path: Path, members: tuple[Column, ...]) -> str:
        """The unknown keys of one object, then the repeated known ones.

        No lambda may mention a list from outside it: DuckDB would copy that list for each element.
        """
        whole, entry, mine = (self.values.variable() for _ in range(3))
        names = names_sql(members)
        pairs = f"list_zip(json_keys({raw}), CAST(json_extract({raw}, '$.*') AS VARCHAR[]))"
        stray = f"{_value(entry)} <> 'null' AND NOT list_contains({names}, {_key(entry)})"
        known = f"list_filter({whole}, lambda {mine}: list_contains({names}, {_key(mine)}))"
        both = [f"list_filter({whole}, lambda {entry}: {stray})", self._repeated(known)]
        prefix = sql_text("".join(f"{column.name}." for column in path))
        shown = self.values.variable()
        text = f"CAST(to_json({prefix} || {_key(shown)}) AS VARCHAR) || ':' || {_value(shown)}"
        found = f"list_transform(flatten([{', '.join(both)}]), lambda {shown}: {text})"
        return f"list_transform([{pairs}], lambda {whole}: {found})[1]"

    def _repeated(self, entries: str) -> str:
        """Entries whose key stood before: sorted by key and place, each is compared with the one before it."""
        entry, place, ordered, pair, again = (self.values.variable() for _ in range(5))
        packed = f"{{'k': {_key(entry)}, 'i': {place}, 'v': {_value(entry)}}}"
        placed = f"list_sort(list_transform({entries}, lambda {entry}, {place}: {packed}))"
        now, before = f"struct_extract({pair}, 1)", f"struct_extract({pair}, 2)"
        neighbours = f"list_zip({ordered}[2:], {ordered}, true)"
        twice = f"list_filter({neighbours}, lambda {pair}: {now}.k = {before}.k AND {now}.v <> 'null')"
        plain = f"lambda {again}: row(struct_extract({again}, 1).k, struct_extract({again}, 1).v)"
        return f"list_transform([{placed}], lambda {ordered}: list_transform({twice}, {plain}))[1]"

    def _converted(self, path: Path) -> str:
        index = next(i for i, column in enumerate(self.columns) if column is path[0])
        return f"(__v{index})" + "".join(f".{duckdb_name(column.name)}" for column in path[1:])


def _known(columns: tuple[Column, ...], above: Path = ()) -> Iterator[Path]:
    """Every column and, through structs, every member."""
    for column in columns:
        yield (*above, column)
        if column.type.name == "struct":
            yield from _known(column.type.fields, (*above, column))


def _leaves(columns: tuple[Column, ...]) -> Iterator[Path]:
    return (path for path in _known(columns) if not _is_struct(path))


def _is_struct(path: Path) -> bool:
    return path[-1].type.name == "struct"


def _key(entry: str) -> str:
    return f"struct_extract({entry}, 1)"


def _value(entry: str) -> str:
    return f"struct_extract({entry}, 2)"


def _parsed(path: Path) -> str:
    return "(x)" + "".join(f".{duckdb_name(column.name)}" for column in path)


def _dotted(path: Path) -> str:
    return ".".join(column.name for column in path)


def _pointer(path: Path) -> str:
    return "".join(pointer(column.name) for column in path)
