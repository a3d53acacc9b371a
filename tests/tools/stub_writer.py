"""Writes python/rgrad/_C.pyi from the module as it is at run time.

Methods that the op table makes say their signatures in their docs, `add(number value)`, and what
they give is seen by calling them on small tensors. The rest has `__text_signature__`; its types
come from stub_types.py.

Some classes stand in the stub alone: tensors of the CPU and of the GPU, which know the class of a
comparison's result, and one for each set of tensor classes that have methods others lack.
"""

import ast
import itertools
import keyword
import re
from dataclasses import dataclass, replace
from functools import partial

import stub_types as types

from rgrad import _C

LINE = 100
# Of a type, not of its objects' use; or made by Python itself.
SKIPPED = {"__doc__", "__module__", "__new__", "__init__", "__dict__", "__weakref__"}
CAN_BE_A_BASE = 1 << 10
TENSORS = [t + name + "Tensor" for t in ("", "cuda_") for name in types.ELEMENTS]

PARAMETER = re.compile(
    r"(?P<kind>bool|int|number|sizes|Tensor|IntTensor|LongTensor or ByteTensor)"
    r" (?P<name>\w+)(?:=(?P<default>\S+))?"
)
KINDS = {"bool": "bool", "int": "_int", "float": "_float", "number": "_Number", "sizes": "_Sizes"}


def both(name):
    return f"{name}Tensor | cuda_{name}Tensor"


# What the placeholders of stub_types.py stand for, by class.
PLACES = {
    "_TensorBase": {"T": "_TensorBase", "R": "Self", "A": "Any", "N": "_Number"}
    | {"Cpu": "_CpuTensor", "Gpu": "_GpuTensor"}
    | {name: both(name) for name in types.ELEMENTS},
    "Variable": dict.fromkeys(("T", "R", "A", "N", "Cpu", "Gpu", *types.ELEMENTS), "Variable"),
}
PLACES["_CpuTensor"] = PLACES["_TensorBase"] | {n: f"{n}Tensor" for n in types.ELEMENTS}
PLACES["_GpuTensor"] = PLACES["_TensorBase"] | {n: f"cuda_{n}Tensor" for n in types.ELEMENTS}
# Functions, of tensors and of Variables.
PLACES["tensors"] = PLACES["_TensorBase"] | {"R": "_T", "F": "FloatTensor"}
PLACES["out"] = PLACES["tensors"] | {"F": "_T"}


class Hints:
    """The tables of stub_types.py; knows what was missing, and what was never asked for."""

    def __init__(self):
        self.missing = []
        self.unused = {
            (id(table), key)
            for table in (types.PARAMETERS, types.RETURNS, types.WRITTEN)
            for key in table
        }

    def find(self, table, *names):
        """The entry for the longest ending of `names` that has one."""
        for start in range(len(names)):
            key = ".".join(names[start:])
            if key in table:
                self.unused.discard((id(table), key))
                return table[key]
        return None

    def need(self, table, *names):
        found = self.find(table, *names)
        if found is None:
            self.missing.append(".".join(filter(None, names)))
        return found or "Any"

    def complaint(self):
        """What is wrong with the tables."""
        unused = sorted(key for _, key in self.unused)
        parts = [
            f"has no type for {', '.join(self.missing)}" if self.missing else "",
            f"has entries that nothing uses: {', '.join(unused)}" if unused else "",
        ]
        return "; ".join(f"stub_types.py {part}" for part in parts if part)


HINTS = Hints()


@dataclass
class Form:
    """One signature: parameters as they are written, and the result; both with placeholders."""

    parameters: list
    result: str

    def filled(self, place):
        return Form([p.format_map(place) for p in self.parameters], self.result.format_map(place))


@dataclass
class Parameter:
    """A parameter of a table-made method."""

    kind: str
    name: str
    default: str | None
    named: bool = False

    @property
    def type(self):
        base = KINDS.get(self.kind, "{T}")
        return f"{base} | None" if self.default == "None" else base

    def text(self):
        return f"{self.name}: {self.type}" + (f" = {self.default}" if self.default else "")


# --- what the op table makes ----------------------------------------------------------------------


def rows(name, doc):
    """Lists of parameters, one for each signature in the doc."""
    found = []
    for line in doc.splitlines():
        match = re.fullmatch(rf"{name}\((.*)\)", line)
        texts = [p for p in match[1].split(", ") if p] if match else []
        star = texts.index("*") if "*" in texts else len(texts)
        parts = [PARAMETER.fullmatch(p) for p in texts if p != "*"]
        if match and all(parts):
            places = enumerate(parts)
            found.append([Parameter(**p.groupdict(), named=i >= star) for i, p in places])
    return found


def candidates(parameter, x):
    """Arguments that may suit a small tensor `x`."""
    zeros, ones = _C.LongTensor(*x.size()).zero_(), _C.ByteTensor(*x.size()).fill_(1)
    n = x.size(x.dim() - 1)
    vector, matrix, stack = (type(x)(*sizes).fill_(1) for sizes in ((n,), (n, n), (1, n, n)))
    return {
        "int": [0, 1],
        "bool": [True],
        "number": [1],
        "sizes": [tuple(x.size()), tuple(range(x.dim()))],
        "Tensor": [x.clone(), vector, matrix, stack],
        "IntTensor": [_C.IntTensor(1, 1).fill_(1)],
        "LongTensor or ByteTensor": [zeros, ones, _C.LongTensor(1).zero_()],
    }[parameter.kind]


def described(result, own):
    """The type of a result in placeholders, for a call on a tensor of class `own`."""
    if isinstance(result, tuple):
        return f"tuple[{', '.join(described(part, own) for part in result)}]"
    if isinstance(result, _C._TensorBase):
        name = type(result).__name__.removesuffix("Tensor")
        return "{R}" if type(result) is own else f"{{{name}}}"
    return "bool" if isinstance(result, bool) else "{N}"


def seen(name, row, own):
    """What the op gives, by a call that works."""
    required = [p for p in row if p.default is None]
    for sizes in ((2, 2), (3,), (1, 2, 2), (1,), (1, 1), (1, 1, 1)):
        x = own(*sizes).fill_(1)
        call = getattr(x, name, None) or partial(getattr(_C, name), x)
        for arguments in itertools.product(*(candidates(p, x) for p in required)):
            given = list(zip(required, arguments, strict=True))
            # What Variables take by place, tensors may take by name only.
            for by_name in (False, True):
                places = [a for p, a in given if not (p.named or by_name)]
                names = {p.name: a for p, a in given if p.named or by_name}
                try:
                    return described(call(*places, **names), own)
                except (RuntimeError, TypeError, ValueError, IndexError, AssertionError):
                    continue
    raise SystemExit(f"no call of {name}({', '.join(p.text() for p in row)}) works")


def forms_of_row(name, row):
    """The ways to write the arguments of one row: places go by kind, so numbers may stand first."""
    for p in row:
        if p.kind == "Tensor" and len(p.name) == 1 and p.name.islower():
            p.name = types.OPERANDS.get(name.rstrip("_"), "other")
    star = next((i for i, p in enumerate(row) if p.named), None)
    if star is not None:
        texts = [p.text() for p in row]
        yield [*texts[:star], "*", *texts[star:]]
        return
    numbers = [p for p in row if p.kind == "number"]
    others = [p for p in row if p.kind != "number"]
    if any(p.kind == "sizes" for p in row):
        yield [f"*{p.name}: _int" if p.kind == "sizes" else p.text() for p in row]
        yield [p.text() for p in row]
    elif numbers and any(p.kind == "Tensor" for p in row):
        if row[0].kind != "number":
            yield [p.text() for p in row]
            return
        yield [replace(p, default=None).text() for p in row]
        if any(p.default for p in numbers):
            yield [p.text() for p in others] + ["*"] + [p.text() for p in numbers]
    else:
        # What may be left out comes last.
        yield [p.text() for p in sorted(row, key=lambda p: p.default is not None)]


def forms_of_table(name, made, own=_C.FloatTensor):
    """All forms of a table-made method or function, for tensors of class `own`."""
    forms, places = [], set()
    for row in rows(name, made.__doc__ or ""):
        if len(row) > 1 and row[-1].name == "input":
            continue  # pow(base, x): its number stands where all others have the tensor
        in_place = name.endswith("_")
        bare = [p for p in row if p.name != "input"]
        result = "Self" if in_place else seen(name, bare, own)
        for parameters in forms_of_row(name, bare):
            kinds = tuple(p.split(": ")[-1] for p in parameters)
            if parameters and kinds in places and "*" not in parameters:
                parameters = ["*", *parameters]
            places.add(kinds)
            forms.append(Form(parameters, result))
    if not forms:
        raise SystemExit(f"{name} has neither a text signature nor the table's doc")
    return needed(forms)


def needed(forms):
    """The forms without those whose every call another form takes too."""
    kept = list(forms)
    for form in forms:
        others = [f for f in kept if f is not form]
        if any(covers(f, form) for f in others):
            kept = others
    return kept


def covers(wide, narrow):
    """Whether each call of `narrow` is one of `wide`, with the same result."""
    if any(p.startswith("*") and p != "*" for p in wide.parameters + narrow.parameters):
        return False
    (have, have_named), (want, want_named) = placed(wide), placed(narrow)
    left = dict([*have[len(want) :], *have_named.items()])
    by_place = zip(want, have, strict=False)
    return (
        wide.result == narrow.result
        and len(have) >= len(want)
        and all(w[0] == h[0] and fits(h[1], w[1]) for w, h in by_place)
        and all(n in left and fits(left[n], p) for n, p in want_named.items())
        and all(" = " in p for n, p in left.items() if n not in want_named)
    )


def placed(form):
    """(name, rest of the text) of the parameters by place, and a dict of those by name only."""
    star = form.parameters.index("*") if "*" in form.parameters else len(form.parameters)
    parts = [tuple(p.split(": ", 1)) for p in form.parameters if p != "*"]
    return parts[:star], dict(parts[star:])


def fits(wide, narrow):
    """Whether a parameter of one type that may be left out, or not, stands for another."""
    same = wide.split(" = ")[0] == narrow.split(" = ")[0]
    return same and (" = " in wide or " = " not in narrow)


# --- what PyO3 makes ------------------------------------------------------------------------------


def signature(made):
    """The parameters of `__text_signature__`; a name that Python reserves gets a `_`."""
    reserved = "|".join(keyword.kwlist)
    text = re.sub(rf"(?<=[( ])({reserved})\b", r"\1_", made.__text_signature__.replace("$", ""))
    return ast.parse(f"def f{text}: ...").body[0].args


def forms_written(owner, name):
    """The forms that stub_types.py lists, if it does."""
    written = HINTS.find(types.WRITTEN, owner, name) or []
    return [Form(split(parameters), result) for parameters, result in written]


def forms_of_made(owner, name, made):
    """All forms of a method or function with a `__text_signature__`."""
    if written := forms_written(owner, name):
        return written
    args = signature(made)
    result = HINTS.need(types.RETURNS, owner, name)

    def text(arg, default=None):
        hint = HINTS.need(types.PARAMETERS, owner, name, arg.arg)
        return f"{arg.arg}: {hint}" + (f" = {ast.unparse(default)}" if default else "")

    placed = args.posonlyargs + args.args
    defaults = [None] * (len(placed) - len(args.defaults)) + args.defaults
    parameters, slash, star = [], len(args.posonlyargs), False
    for i, (arg, default) in enumerate(zip(placed, defaults, strict=True)):
        if arg.arg in ("self", "cls"):
            slash -= i < slash
        elif arg.arg == "async_":
            # Cannot be written by name, and nobody gives it by place; what follows goes by name.
            parameters, star = [*parameters, "*"], True
        else:
            parameters.append(text(arg, default))
            if arg.arg.endswith("_"):
                slash = len(parameters)
    if slash:
        parameters.insert(slash, "/")
    if parameters and parameters[-1] == "*":
        parameters.pop()
    keywords = [text(a, d) for a, d in zip(args.kwonlyargs, args.kw_defaults, strict=True)]
    if args.vararg is None:
        bar = ["*"] if keywords and not star else []
        return [Form(parameters + bar + keywords, result)]
    forms = [Form([*parameters, f"*{text(args.vararg)}", *keywords], result)]
    if args.vararg.arg == "sizes":
        bar = ["*"] if keywords else []
        forms.append(Form([*parameters, "sizes: _Sizes", "/", *bar, *keywords], result))
    return forms


def split(parameters):
    """The parameters of a written signature."""
    return [p for p in re.split(r", (?![^\[]*\])", parameters) if p]


def is_writable(descriptor, instance):
    """Whether a property has a setter: refusing the value counts, refusing to be set does not."""
    try:
        descriptor.__set__(instance, None)
    except AttributeError:
        return False
    except (RuntimeError, TypeError):
        return True
    return True


# --- text -----------------------------------------------------------------------------------------


def line(indent, name, form, own):
    """A function as ruff would lay it out."""
    parameters = [own, *form.parameters] if own else form.parameters
    result = f"-> {form.result}: ..."
    code = types.IGNORED.get(name)
    ignore = f"  # type: ignore[{code}]" if code else ""
    short = f"{indent}def {name}({', '.join(parameters)}) {result}"
    if len(short + ignore) <= LINE:
        return [short + ignore]
    inner = f"{indent}    {', '.join(parameters)}"
    if len(inner) <= LINE:
        body = [inner]
    else:
        body = [f"{indent}    {p}," for p in parameters]
        if parameters[-1] in ("*", "/"):
            body[-1] = body[-1].removesuffix(",")
    return [f"{indent}def {name}({ignore}", *body, f"{indent}) {result}"]


def function(name, forms, indent="", own=None):
    """Lines for all forms of a function."""
    lines = []
    for form in forms:
        lines += [f"{indent}@overload"] if len(forms) > 1 else []
        lines += line(indent, name, form, own)
    return lines


def method(owner, name, forms):
    own = "cls" if name == "__new__" or name in types.OF_THE_CLASS else "self"
    lines = function(name, [f.filled(PLACES.get(owner, {})) for f in forms], "    ", own)
    return ["    @classmethod", *lines] if name in types.OF_THE_CLASS else lines


def knows_device(forms):
    return any("{" + name + "}" in f.result for f in forms for name in types.ELEMENTS)


def members(cls, owner):
    """(name, forms or property text) of what the class itself defines."""
    for name, made in sorted(vars(cls).items()):
        if name in SKIPPED:
            continue
        kind = type(made).__name__
        if kind == "getset_descriptor":
            yield name, getter(owner, name, made)
        elif getattr(made, "__text_signature__", None) is not None:
            yield name, forms_of_made(owner, name, made)
        elif name in types.ATTRIBUTES:
            yield name, f"    {name}: {types.ATTRIBUTES[name]}"
        elif isinstance(made, int | float | str):
            yield name, f"    {name}: {KINDS.get(kind, kind)}"
        else:
            yield name, forms_written(owner, name) or forms_of_table(name, made)


def instance(owner):
    x = _C.Variable(_C.ones(1), requires_grad=True)
    nodes = {"_Node": (x * 1).grad_fn, "_FunctionBase": _C._FunctionBase()}
    data = {"_TensorBase": x.data, "_StorageBase": x.data.storage()}
    return {"Variable": x, **data, **nodes}[owner]


def getter(owner, name, descriptor):
    hint = HINTS.need(types.RETURNS, owner, name)
    lines = ["    @property", f"    def {name}(self) -> {hint}: ..."]
    if is_writable(descriptor, instance(owner)):
        lines += [f"    @{name}.setter", f"    def {name}(self, value: {hint}) -> None: ..."]
    return "\n".join(lines)


def class_text(name, bases, lines, final=False):
    head = f"class {name}({', '.join(bases)})" if bases else f"class {name}"
    head = ("@final\n" if final else "") + head
    return f"{head}:\n" + "\n".join(lines) if lines else f"{head}: ..."


def class_of(owner, cls):
    """A class, and for the base of tensors the two that know their device."""
    bases = [b.__name__ for b in cls.__bases__ if b is not object]
    lines, aware = [], []
    for name, member in members(cls, owner):
        if isinstance(member, str):
            lines.append(member)
            continue
        if knows_device(member):
            aware.append((name, member))
        lines += method(owner, name, member)
    made = next((types.NEW[n] for n in (owner, *bases) if n in types.NEW), [])
    new = [Form(split(p), r) for p, r in made]
    # A checker asks `__init__` first, so it says the same.
    init = [Form(f.parameters, "None") for f in new if "__init__" in vars(cls)]
    lines = method(owner, "__new__", new) + method(owner, "__init__", init) + lines
    texts = [class_text(owner, bases, lines, not cls.__flags__ & CAN_BE_A_BASE)]
    if owner == "_TensorBase":
        for device in ("_CpuTensor", "_GpuTensor"):
            new = [Form(split(p), r) for p, r in types.NEW[device]]
            lines = method(device, "__new__", new)
            for name, member in aware:
                lines += method(device, name, member)
            if device == "_CpuTensor":
                lines += method(device, "cpu", [Form([], "Self")])
            texts.append(class_text(device, [owner], lines))
    return texts


def some_have():
    """The methods that only some classes of tensors have, by those classes' elements."""
    found = {}
    for element in types.ELEMENTS:
        own = vars(getattr(_C, f"{element}Tensor"))
        for name in own.keys() - SKIPPED:
            # What halves lack stands in their class too, to say so.
            if type(own[name]).__name__ == "_Missing":
                continue
            found.setdefault(name, []).append(element)
    groups = {}
    for name, elements in sorted(found.items()):
        groups.setdefault(tuple(elements), []).append(name)
    return groups


def some_class(elements):
    """What the classes that have these methods are called together: `_FloatDoubleTensor`."""
    return f"_{''.join(elements)}Tensor"


def class_of_some(elements, names):
    own = getattr(_C, f"{'Float' if 'Float' in elements else elements[0]}Tensor")
    lines = []
    for name in names:
        made = vars(own)[name]
        if getattr(made, "__text_signature__", None) is not None:
            forms = forms_of_made("_TensorBase", name, made)
        else:
            forms = forms_of_table(name, made, own)
        lines += method("_TensorBase", name, forms)
    return class_text(some_class(elements), ["_TensorBase"], lines)


def tensor_class(name, groups):
    """A class of tensors: what it has with others, and what it is on the other device."""
    short = name.removeprefix("cuda_")
    shared = [some_class(g) for g in groups if short.removesuffix("Tensor") in g]
    if name != short:
        return class_text(name, ["_GpuTensor", *shared], method("", "cpu", [Form([], short)]))
    move = [Form(["device: _int | None = None"], f"cuda_{name}")]
    return class_text(name, ["_CpuTensor", *shared], method("", "cuda", move))


def module_function(name, made):
    """Functions of tensors and Variables have forms for each."""
    if getattr(made, "__text_signature__", None) is not None:
        forms = forms_of_made("", name, made)
    else:
        forms = [
            Form(["input: {R}", *form.parameters], form.result)
            for form in forms_of_table(name, made)
        ]
        forms = [with_out(form) for form in forms]
    texts = []
    for form in forms:
        if form.result == "{F}":
            texts += [no_out(form).filled(PLACES["tensors"]), given_out(form)]
        elif any("{" in p for p in form.parameters):
            texts += [
                form.filled(PLACES["tensors"]),
                without_out(form).filled(PLACES["Variable"]),
            ]
        else:
            texts.append(form)
    return function(name, texts)


def is_out(parameter):
    return parameter.startswith("out:")


def with_out(form):
    """The form with `out=`, unless the result is a number."""
    if form.result == "{N}":
        return form
    bar = [] if any(p.startswith("*") for p in form.parameters) else ["*"]
    return Form([*form.parameters, *bar, f"out: {form.result} | None = None"], form.result)


def without_out(form):
    """The form for Variables, which have no `out=`; its place stays if something follows."""
    if any(is_out(p) for p in form.parameters[:-1]) and "*" not in form.parameters:
        return no_out(form)
    kept = [p for p in form.parameters if not is_out(p)]
    return Form(kept[:-1] if kept and kept[-1] == "*" else kept, form.result)


def no_out(form):
    kept = ["out: None = None" if is_out(p) else p for p in form.parameters]
    return Form(kept, form.result)


def given_out(form):
    """The form whose result is its `out`."""
    kept = [p for p in form.parameters if not is_out(p)]
    kept = kept[:-1] if kept[-1] == "*" else kept
    bar = [] if any(p.startswith("*") for p in kept) else ["*"]
    return Form([*kept, *bar, "out: {R}"], form.result).filled(PLACES["out"])


def imports(text):
    """The imports that the text needs."""
    needed = {}
    for module, names in types.IMPORTS:
        used = [name for name in names if re.search(rf"\b{name}\b", text)]
        needed.setdefault(module, []).extend(used)
    lines = ["import builtins"]
    for module, names in needed.items():
        whole = f"from {module} import {', '.join(names)}"
        if len(whole) > LINE:
            whole = f"from {module} import (\n" + "".join(f"    {n},\n" for n in names) + ")"
        lines += [whole] if names else []
    return "\n".join(
        [*lines, "", "from numpy.typing import NDArray", "", "from ._size import Size"]
    )


def stub_text():
    """The whole file."""
    classes, functions, constants = [], [], []
    groups = some_have()
    for name in _C.__all__:
        made = getattr(_C, name)
        if name in TENSORS:
            classes.append(tensor_class(name, groups))
        elif isinstance(made, type):
            classes += class_of(name, made)
            if made is _C._TensorBase:
                classes += [class_of_some(*group) for group in groups.items()]
        elif callable(made):
            functions += module_function(name, made)
        else:
            constants.append(f"{name}: {type(made).__name__}")
    if complaint := HINTS.complaint():
        raise SystemExit(complaint)
    exported = sorted(_C.__all__, key=lambda name: (not name[0].isupper(), name))
    names = "".join(f'    "{name}",\n' for name in exported)
    # ruff puts no line between classes without bodies.
    shown = re.sub(
        r"(: \.\.\.)\n\n(?=class .*: \.\.\.$)", r"\1\n", "\n\n".join(classes), flags=re.M
    )
    body = "\n\n".join(
        [
            f"__all__ = [\n{names}]",
            types.ALIASES + "\n".join(constants),
            shown,
            "\n".join(functions) + "\n",
        ]
    )
    head = "# Written by `python tests/tools/check_stubs.py --update`; change the writer instead."
    return f"{head}\n\n{imports(body)}\n\n{body}"
