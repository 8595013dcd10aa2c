"""Components: everything that params.yaml can name, the built-ins too.

A component is a class or function with a typed signature. Its options are its parameters: their types, defaults and
docstring give the schema, the help text and the error messages. In params.yaml a component is `name` or
`{name: …, option: …}`; a parameter whose default is `nested(kind, name)` is a component itself and nests the same way.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from adaptgan.deprecation import warn_once
from adaptgan.errors import ComponentError, ParamsError, nearest
from adaptgan.hookspecs import PLUGIN_API

if TYPE_CHECKING:
    import pydantic  # at run time imported where options are checked: it costs `adaptgan --help` 80 ms

KINDS = {
    "dataset": "where images come from",
    "network": "a generator, discriminator or classifier",
    "objective": "a loss: adversarial, consistency, divergence",
    "penalty": "a regularizer of a discriminator or generator",
    "augmentation": "random changes of a batch of images",
    "method": "a paper: networks, losses and phases",
    "metric": "a measure of realism, gap or task score",
    "extractor": "a network whose features images are measured in",
    "validator": "a score of a model that needs no target labels",
    "gate": "what a synthesized image must pass",
    "exporter": "a format to write a data set to",
}


@dataclass(frozen=True)
class ComponentSpec:
    """One component as a plugin announces it, without importing it.

    Attributes:
        kind: one of `KINDS`.
        name: what params.yaml calls it.
        target: `package.module:attribute`, imported when the component is used.
        summary: one line for `adaptgan components`.
        paper: author and year, or a URL; empty when there is none.
        api: the `PLUGIN_API` it was written for.
        distribution: who provides it; set by the plugin manager.
        deprecated: what to use instead and when it goes: `use 'sngan'; goes in 0.3`; warned about when it is built.
        formerly: names that it had before; they work, with a warning.
        renamed: options that it had before, by the names they have now: `{"channel": "channels"}`; they work, too.
    """

    kind: str
    name: str
    target: str
    summary: str = ""
    paper: str = ""
    api: int = PLUGIN_API
    distribution: str = ""
    deprecated: str = ""
    formerly: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Nested:
    """The default of a parameter that is itself a component (see `nested`)."""

    kind: str
    default: Any = None
    many: bool = False


def nested(kind: str, name: str | None = None, **options: Any) -> Any:
    """Declare a parameter that is a component of `kind`; without a name it must be given.

    Example:
        >>> def method(refiner=nested("network", "simgan_refiner", blocks=4)): ...
    """
    return Nested(kind, None if name is None else {"name": name, **options})


def nested_list(kind: str, *configs: str | dict[str, Any]) -> Any:
    """Declare a parameter that is a list of components of `kind`; `configs` is its default."""
    return Nested(kind, list(configs), many=True)


@dataclass(frozen=True)
class Option:
    """One option of a component, as its signature and docstring tell it."""

    name: str
    type: str
    default: Any
    required: bool
    help: str
    nested: Nested | None = None
    nullable: bool = True


@dataclass(frozen=True)
class Schema:
    """A component's options: `model` validates the plain ones, `options` describes all."""

    options: tuple[Option, ...]
    model: type[pydantic.BaseModel]
    context: Mapping[str, type] = field(default_factory=dict)


class Registry:
    """All known components, by kind and name.

    Args:
        specs: what the plugins registered, built-ins first.
        failures: one line per plugin that could not be loaded, shown when a name is not found.
    """

    def __init__(self, specs: Iterable[ComponentSpec], failures: Iterable[str] = ()) -> None:
        self.failures = tuple(failures)
        self.conflicts: dict[tuple[str, str], list[str]] = {}
        self._specs: dict[tuple[str, str], ComponentSpec] = {}
        for spec in specs:
            key = (spec.kind, spec.name)
            if key in self._specs:
                claims = self.conflicts.setdefault(key, [self._specs[key].distribution])
                claims.append(spec.distribution)
            else:
                self._specs[key] = spec
        self._formerly = {(spec.kind, old): spec for spec in self._specs.values() for old in spec.formerly}

    def specs(self, kind: str | None = None) -> list[ComponentSpec]:
        """The known components, of one kind or all, sorted by kind and name."""
        if kind is not None and kind not in KINDS:
            raise ComponentError(f"There is no component kind {kind!r}. {nearest(kind, KINDS)}")
        return [self._specs[key] for key in sorted(self._specs) if kind in (None, key[0])]

    def find(self, kind: str, name: str, where: str = "") -> ComponentSpec:
        """The component of that kind and name.

        Raises:
            ComponentError: it is unknown, or two distributions claim the name.
        """
        place = f"{where}: " if where else ""
        if claims := self.conflicts.get((kind, name)):
            raise ComponentError(
                f"{place}the {kind} {name!r} is claimed by {' and '.join(claims)}. "
                "Uninstall one, or block it: `plugins: {block: [<distribution>]}` in params.yaml."
            )
        if spec := self._specs.get((kind, name)):
            return spec
        if spec := self._formerly.get((kind, name)):
            warn_once(f"{place}the {kind} {name!r} is called {spec.name!r} now; the old name will go.")
            return spec
        known = [spec.name for spec in self.specs(kind)]
        message = f"{place}unknown {kind} {name!r}. {nearest(name, known)} See `adaptgan components {kind}`."
        for failure in self.failures:
            message += f"\nIf a plugin should provide it: {failure}"
        raise ComponentError(message)

    def load(self, spec: ComponentSpec) -> Callable[..., Any]:
        """Import a component's target.

        Raises:
            ComponentError: the import fails; the message names the distribution and the cause.
        """
        module, _, attribute = spec.target.partition(":")
        try:
            target: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
        except Exception as error:
            raise ComponentError(
                f"The {spec.kind} {spec.name!r} of {spec.distribution or 'a plugin'} could not be loaded from "
                f"{spec.target}: {type(error).__name__}: {error}"
            ) from error
        return target

    def schema(self, spec: ComponentSpec) -> Schema:
        """The options of a component, from its signature and docstring.

        Raises:
            ComponentError: it cannot be imported, or its signature cannot be a schema.
        """
        import pydantic

        target = self.load(spec)
        try:
            return _schema(target)
        except (NameError, TypeError, ValueError, pydantic.PydanticUserError) as error:
            raise ComponentError(
                f"The signature of the {spec.kind} {spec.name!r} of {spec.distribution or 'a plugin'} ({spec.target}) "
                f"cannot be read as options: {error}. Annotations must be importable when it runs, not only under "
                "TYPE_CHECKING."
            ) from error

    def resolve(self, kind: str, config: Any, where: str) -> dict[str, Any]:
        """Validate a component's configuration and fill in every default, nested ones too.

        Args:
            kind: the kind that is expected here.
            config: `name` or `{name: …, option: …}`.
            where: the path in params.yaml, for messages.

        Returns:
            Plain data: `{"name": …, option: value, …}` with all options present.

        Raises:
            ParamsError: an unknown name or option, or a value of the wrong type.
        """
        import pydantic

        if isinstance(config, str):
            config = {"name": config}
        if not isinstance(config, Mapping) or not isinstance(config.get("name"), str):
            raise ParamsError(
                f"{where}: expected a {kind}, as `name` or `{{name: …, option: …}}`; found {config!r}. "
                f"See `adaptgan components {kind}`."
            )
        spec = self.find(kind, config["name"], where)
        name = spec.name
        schema = self.schema(spec)
        given = _today(spec, {key: value for key, value in config.items() if key != "name"}, where)
        for key in given:
            if key not in (known := [option.name for option in schema.options]):
                raise ParamsError(
                    f"{where}.{key}: the {kind} {name!r} has no option {key!r}. {nearest(str(key), known)} "
                    f"See `adaptgan components {kind} {name}`."
                )
        resolved: dict[str, Any] = {"name": name}
        plain = {o.name: given[o.name] for o in schema.options if not o.nested and o.name in given}
        for option in schema.options:
            if dataclasses.is_dataclass(option.default) and isinstance(plain.get(option.name), Mapping):
                plain[option.name] = _merged(option.default, plain[option.name], f"{where}.{option.name}")
        try:
            values = schema.model(**plain).model_dump(mode="json")
        except pydantic.ValidationError as error:
            raise ParamsError(explain(error, where, f"See `adaptgan components {kind} {name}`.")) from None
        for option in schema.options:
            if option.nested is None:
                resolved[option.name] = values[option.name]
                continue
            value = given.get(option.name, option.nested.default)
            path = f"{where}.{option.name}"
            if option.nested.many:
                items = value if isinstance(value, list) else [value]
                resolved[option.name] = [
                    self.resolve(option.nested.kind, item, f"{path}[{i}]") for i, item in enumerate(items)
                ]
            elif value is None and not option.nullable:
                raise ParamsError(
                    f"{path}: the {kind} {name!r} needs a {option.nested.kind} here. "
                    f"See `adaptgan components {option.nested.kind}`."
                )
            else:
                resolved[option.name] = None if value is None else self.resolve(option.nested.kind, value, path)
        return resolved

    def build(self, kind: str, config: Any, where: str = "", context: Iterable[Any] = ()) -> Any:
        """Construct a component and those nested in it.

        Args:
            kind: the kind that is expected.
            config: its configuration, resolved or not.
            where: the path in params.yaml, for messages.
            context: objects handed to parameters of their type, such as a `DataInfo`.
        """
        resolved = self.resolve(kind, config, where or kind)
        return self._construct(kind, resolved, where or kind, tuple(context))

    def _construct(self, kind: str, resolved: Mapping[str, Any], where: str, context: tuple[Any, ...]) -> Any:
        spec = self.find(kind, resolved["name"], where)
        if spec.deprecated:
            warn_once(f"{where}: the {kind} {spec.name!r} is deprecated: {spec.deprecated}.")
        schema = self.schema(spec)
        arguments: dict[str, Any] = {}
        for option in schema.options:
            value = resolved[option.name]
            if option.nested is None or value is None:
                arguments[option.name] = value
            elif option.nested.many:
                arguments[option.name] = [
                    self._construct(option.nested.kind, item, f"{where}.{option.name}", context) for item in value
                ]
            else:
                arguments[option.name] = self._construct(option.nested.kind, value, f"{where}.{option.name}", context)
        # Values go through the model once more so that tuples, enums and dates are what the signature says.
        plain = {o.name: arguments[o.name] for o in schema.options if o.nested is None}
        typed = schema.model(**plain)
        arguments.update({name: getattr(typed, name) for name in plain})
        for name, wanted in schema.context.items():
            for candidate in context:
                if isinstance(candidate, wanted):
                    arguments[name] = candidate
                    break
            else:
                raise ComponentError(
                    f"{where}: the {kind} {spec.name!r} needs a {wanted.__name__}, which this stage does not have."
                )
        return self.load(spec)(**arguments)

    def names_in(self, kind: str, resolved: Mapping[str, Any]) -> list[ComponentSpec]:
        """Every component that a resolved configuration uses, itself included."""
        spec = self.find(kind, resolved["name"])
        found = [spec]
        for option in self.schema(spec).options:
            value = resolved.get(option.name)
            if option.nested is None or value is None:
                continue
            for item in value if option.nested.many else [value]:
                found += self.names_in(option.nested.kind, item)
        return found


def _today(spec: ComponentSpec, given: dict[str, Any], where: str) -> dict[str, Any]:
    """Options by the names that they have now.

    Raises:
        ParamsError: an option is given by its old name and its new one.
    """
    for old, new in spec.renamed.items():
        if old not in given:
            continue
        if new in given:
            raise ParamsError(f"{where}: `{old}` is the old name of `{new}`, and both are given. Leave out `{old}`.")
        warn_once(f"{where}.{old}: the option is called {new!r} now; the old name will go.")
        given[new] = given.pop(old)
    return given


def _merged(default: Any, given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A group of options, such as an optimizer's: what is not given keeps this component's own default."""
    known = {field.name: getattr(default, field.name) for field in dataclasses.fields(default)}
    for key in given:
        if key not in known:
            raise ParamsError(f"{where}.{key}: there is no such option. {nearest(str(key), known)}")
    return known | dict(given)


def explain(error: pydantic.ValidationError, where: str, hint: str = "") -> str:
    """A pydantic error as lines of `path: what is wrong (found …)`."""
    lines = []
    for item in error.errors(include_url=False):
        path = ".".join(str(part) for part in (where, *item["loc"]) if part != "")
        found = "" if item["type"] == "missing" else f" (found {item['input']!r})"
        lines.append(f"{path}: {item['msg'][0].lower()}{item['msg'][1:]}{found}.")
    return "\n".join([*lines, hint]).rstrip()


@cache
def _schema(target: Callable[..., Any]) -> Schema:
    import pydantic

    function = target.__init__ if inspect.isclass(target) else target
    hints = typing.get_type_hints(function, include_extras=True)
    helps = _argument_help(inspect.getdoc(target) or "") | _argument_help(inspect.getdoc(function) or "")
    options: list[Option] = []
    fields: dict[str, Any] = {}
    context: dict[str, type] = {}
    # A dataclass shows `<factory>` as the default of a field that has a factory.
    members = dataclasses.fields(target) if dataclasses.is_dataclass(target) else ()
    factories = {m.name: m.default_factory for m in members if m.default_factory is not dataclasses.MISSING}
    for parameter in inspect.signature(target).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        name, annotation = parameter.name, hints.get(parameter.name, Any)
        if name == "name":
            raise ValueError("a parameter cannot be called `name`: in params.yaml that names the component")
        if name.startswith("_") or name in dir(pydantic.BaseModel):
            raise ValueError(f"a parameter cannot be called `{name}`: the validator keeps that name for itself")
        required = parameter.default is parameter.empty
        text = helps.get(name, "")
        if getattr(annotation, "filled_by_builder", False):
            context[name] = annotation
        elif isinstance(parameter.default, Nested):
            spec = parameter.default
            shown = f"list of {spec.kind}s" if spec.many else spec.kind
            optional = type(None) in typing.get_args(annotation)
            missing = spec.default is None and not spec.many and not optional
            options.append(Option(name, shown, spec.default, missing, text, spec, nullable=optional))
        else:
            default = factories[name]() if name in factories else parameter.default
            fields[name] = (annotation, ... if required else default)
            options.append(Option(name, _type_name(annotation), None if required else default, required, text))
    model = pydantic.create_model(
        getattr(target, "__name__", "Component"),
        __config__=pydantic.ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), validate_default=True),
        **fields,
    )
    return Schema(tuple(options), model, context)


def _type_name(annotation: Any) -> str:
    if typing.get_origin(annotation) is typing.Annotated:
        return _type_name(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) is typing.Literal:
        return "|".join(str(choice) for choice in typing.get_args(annotation))
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return " | ".join(_type_name(choice) for choice in typing.get_args(annotation))
    if annotation is type(None):
        return "null"
    return inspect.formatannotation(annotation).replace("pathlib.", "").replace("typing.", "")


def _argument_help(doc: str) -> dict[str, str]:
    """The `Args:` section of a Google-style docstring, by argument."""
    section = re.search(r"^Args:\n((?:[ \t]+.*\n?|\n)*)", doc, flags=re.MULTILINE)
    if not section:
        return {}
    lines = section.group(1).splitlines()
    indent = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    helps: dict[str, str] = {}
    name = ""
    for line in lines:
        body = line[indent:]
        if match := re.match(r"(\w+)(?: \([^)]*\))?: *(.*)", body):
            name = match.group(1)
            helps[name] = match.group(2)
        elif name and body.strip():
            helps[name] = f"{helps[name]} {body.strip()}".strip()
    return helps
