"""The columns of a record: an Arrow schema from the record model, and values to and from what a column holds.

Text, numbers and truth values keep their type; a list is a list, a nested record a struct, a mapping a list of keys and
values in their order (``datasets`` reads no Arrow map). A value of any kind is JSON text. What a record leaves out of
its JSON is null.
"""

import json
import types
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

if TYPE_CHECKING:
    import pyarrow


def schema_of(model: type[BaseModel]) -> "pyarrow.Schema":
    """The Arrow schema of a record, its name in the metadata."""
    import pyarrow

    fields = [pyarrow.field(_name(name, field), _type(field.annotation)) for name, field in model.model_fields.items()]
    return pyarrow.schema(fields, metadata={"record": model.__name__})


def to_cells(value: dict[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """A record's JSON as its columns hold it."""
    cells: dict[str, Any] = _cell(value, model)
    return cells


def from_cells(cells: dict[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """A row of a table as the record's JSON has it: what is null and may not be is left out."""
    value: dict[str, Any] = _value(cells, model)
    return value


def _type(annotation: Any) -> "pyarrow.DataType":
    """The Arrow type of an annotation; TypeError for one that no record has had so far."""
    import pyarrow

    kind = _plain(annotation)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return pyarrow.struct(list(schema_of(kind)))
    simple = {str: pyarrow.string(), int: pyarrow.int64(), float: pyarrow.float64(), bool: pyarrow.bool_()}
    if kind in simple:
        return simple[kind]
    if kind is Any:
        return pyarrow.string()
    if get_origin(kind) is list:
        return pyarrow.list_(_type(get_args(kind)[0]))
    if get_origin(kind) is dict:
        return pyarrow.list_(pyarrow.struct({"key": pyarrow.string(), "value": _type(get_args(kind)[1])}))
    raise TypeError(f"no column for {annotation}")


def _plain(annotation: Any) -> Any:
    """An annotation without what a column does not show: bounds and checks, None beside another type, fixed words."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _plain(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        others = [part for part in get_args(annotation) if part is not types.NoneType]
        return _plain(others[0]) if len(others) == 1 else annotation
    return str if origin is Literal else annotation


def _name(name: str, field: FieldInfo) -> str:
    return field.serialization_alias or field.alias or name


def _cell(value: Any, annotation: Any) -> Any:
    """A JSON value as a column holds it."""
    kind = _plain(annotation)
    if kind is Any:
        return json.dumps(value, ensure_ascii=False)
    if value is None:
        return None
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        named = {_name(name, field): field.annotation for name, field in kind.model_fields.items()}
        return {name: _cell(value[name], annotation) if name in value else None for name, annotation in named.items()}
    if get_origin(kind) is list:
        return [_cell(one, get_args(kind)[0]) for one in value]
    if get_origin(kind) is dict:
        return [{"key": key, "value": _cell(one, get_args(kind)[1])} for key, one in value.items()]
    return value


def _value(cell: Any, annotation: Any) -> Any:
    """What a column holds as a JSON value."""
    kind = _plain(annotation)
    if kind is Any:
        return json.loads(cell)
    if cell is None:
        return None
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        named = {_name(name, field): field for name, field in kind.model_fields.items()}
        return {
            name: _value(one, named[name].annotation) if name in named else one
            for name, one in cell.items()
            if one is not None or name not in named or named[name].is_required()
        }
    if get_origin(kind) is list:
        return [_value(one, get_args(kind)[0]) for one in cell]
    if get_origin(kind) is dict:
        return {one["key"]: _value(one["value"], get_args(kind)[1]) for one in cell}
    return cell
