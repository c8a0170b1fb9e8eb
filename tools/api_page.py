"""The page of the REST API, written from its OpenAPI document."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

_CODES_EVERYWHERE = {"401", "421", "422", "500", "503"}
_CODES_OF_CHANGES = {"400", "403", "413", "415"}

INTRODUCTION = """\
What `GET /openapi.json` says, to read. A guide with examples: [the REST API](../api.md). Errors are problems
(RFC 9457); their codes: [errors](errors.md). The shape of an ingestion: [ingestions](ingestion.md).

Each call can be answered with 401, 421, 422, 500 and 503, each that changes something also with 400, 403, 413 and 415;
below stand the answers beyond those."""


def document() -> dict[str, Any]:
    """The document of an application that nobody serves."""
    from app.config import Settings
    from app.main import create_app

    with tempfile.TemporaryDirectory() as home:
        made: dict[str, Any] = create_app(
            Settings(_env_file=None, autoloader_home=Path(home), database_url="")
        ).openapi()
    return made


def body() -> str:
    """Every operation by its noun, then every model."""
    found = document()
    parts = []
    for tag in found["tags"]:
        parts.append(f"## {tag['name'].capitalize()}\n\n{tag['description']}")
        for path, operations in found["paths"].items():
            parts += [_operation(path, m, one) for m, one in operations.items() if tag["name"] in one["tags"]]
    parts.append("## Models\n\nFields of what is sent and answered, but for the shape of an ingestion.")
    models = found["components"]["schemas"]
    parts += [_model(name, schema) for name, schema in sorted(models.items()) if _is_shown(name, schema)]
    return "\n\n".join(parts)


def _is_shown(name: str, schema: dict[str, Any]) -> bool:
    """The parts of an ingestion's shape have a page of their own."""
    return "properties" in schema and not (name.endswith("Shape") and name not in {"ConnectionShape", "ClusterShape"})


def _operation(path: str, method: str, one: dict[str, Any]) -> str:
    parts = [f"### {one['summary']}", f"`{method.upper()} {path}` · `{one['operationId']}`", one["description"]]
    parameters = [item for item in one.get("parameters", ()) if item["in"] != "path"]
    if parameters:
        parts.append(_table(["parameter", "in", "type", "default", ""], [_parameter(item) for item in parameters]))
    if "requestBody" in one:
        kinds = [
            f"{_type(media.get('schema', {}))} as `{kind}`" for kind, media in one["requestBody"]["content"].items()
        ]
        parts.append(f"Takes {' or '.join(kinds)}.")
    parts.append(_answers(method, one["responses"]))
    return "\n\n".join(parts)


def _answers(method: str, responses: dict[str, Any]) -> str:
    left_out = _CODES_EVERYWHERE | (set() if method == "get" else _CODES_OF_CHANGES)
    lines = []
    for code, answer in responses.items():
        content = answer.get("content", {}).get("application/json")
        if content is not None:
            lines.append(f"- {code}: {_type(content['schema'])}")
        elif code not in left_out:
            lines.append(f"- {code}: {answer['description']}")
    return "\n".join(lines)


def _parameter(item: dict[str, Any]) -> list[str]:
    schema = item["schema"]
    default = schema.get("default")
    needed = "needed" if item.get("required") else "" if default is None else f"`{str(default).lower()}`"
    return [f"`{item['name']}`", item["in"], _type(schema), needed, item.get("description", "")]


def _model(name: str, schema: dict[str, Any]) -> str:
    required = set(schema.get("required", ()))
    rows = [
        [f"`{field}`" + ("" if field in required else " (optional)"), _type(one), one.get("description", "")]
        for field, one in schema["properties"].items()
    ]
    text = str(schema.get("description", "")).split("\n\n", maxsplit=1)[0].replace("\n", " ")
    return f"### {name}\n\n{text}\n\n{_table(['field', 'type', ''], rows)}"


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return _link(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(item) for item in schema["anyOf"]))
    if "enum" in schema:
        return ", ".join(f"`{item}`" for item in schema["enum"])
    if "const" in schema:
        return f"`{str(schema['const']).lower()}`"
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"mapping to {_type(schema['additionalProperties'])}"
    formats = {"date-time": "time", "uuid": "UUID", "password": "secret text"}
    words = {"string": "text", "integer": "number", "boolean": "true or false", "object": "mapping", "null": "null"}
    return formats.get(str(schema.get("format")), words.get(str(schema.get("type")), "anything"))


def _link(name: str) -> str:
    if name.endswith("Shape") and name not in {"ConnectionShape", "ClusterShape"}:
        return f"[{name}](ingestion.md)"
    return f"[{name}](#{name.lower()})"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [
        head,
        ["---"] * len(head),
        *([cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
