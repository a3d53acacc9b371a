"""The chain rule of one backward, step by step in numbers."""

import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from . import _C, _names

#: Elements that are written out; of more there is a summary.
_WRITTEN = 8
#: Steps that are printed; `steps` has all.
_PRINTED = 200


class Value(NamedTuple):
    """What a tensor holds: all `numbers` of a small one, else the first of them and a summary."""

    size: tuple[int, ...]
    numbers: list[float]
    smallest: float | None = None
    largest: float | None = None
    mean: float | None = None

    def __str__(self) -> str:
        shown = " ".join(f"{n:.5g}" for n in self.numbers)
        if self.smallest is None:
            return shown if self.size == (1,) else f"[{shown}]"
        size = " x ".join(map(str, self.size))
        return (
            f"{size}: from {self.smallest:.5g} to {self.largest:.5g}, "
            f"mean {self.mean:.5g}, [{shown} …]"
        )


def _value(tensor: Any) -> Value:
    size = tuple(tensor.size())
    count = tensor.numel()
    if count == 0:
        return Value(size, [])
    flat = tensor.cpu().contiguous().view(-1)
    numbers = [float(flat[i]) for i in range(min(count, _WRITTEN))]
    if count <= _WRITTEN:
        return Value(size, numbers)
    wide = flat.double()
    return Value(size, numbers[:4], wide.min(), wide.max(), wide.mean())


class Contribution(NamedTuple):
    """What one step gives one of its operands."""

    operand: str
    #: What the gradient is of: a name, or the expression that computed it.
    of: str
    #: The local derivative as a formula, where there is one, and as numbers, where it works
    #: element by element.
    formula: str | None
    local: Value | None
    gradient: Value
    #: For operations that are no product with a local derivative: how the gradient is computed.
    rule: str | None = None


class Arrival(NamedTuple):
    """The gradient of a further result of a step that has several."""

    of: str
    gradient: Value
    paths: list[tuple[int, Value]]


class Step(NamedTuple):
    """One node of the graph on the way back."""

    number: int
    node: str
    operation: str
    of: str
    source: tuple[str, int, str, str | None] | None
    #: The gradient that came in, and the steps it came from.
    gradient: Value
    paths: list[tuple[int, Value]]
    #: (operand, name, value) of what was kept for this.
    saved: list[tuple[str, str, Value]]
    contributions: list[Contribution]
    #: Further results that got a gradient.
    others: tuple[Arrival, ...] = ()
    #: How many hooks backward would call here; they are not called, and could replace gradients.
    hooks: int = 0


class Leaf(NamedTuple):
    """A gradient at its end: what backward adds into `variable.grad`."""

    name: str
    variable: _C.Variable
    gradient: Value
    paths: list[tuple[int, Value]]
    #: As of a step.
    hooks: int = 0


class Explanation:
    """What backward from one Variable computes: `steps` and `leaves`; prints as text, and as a
    table in notebooks."""

    def __init__(self, root: str, steps: list[Step], leaves: list[Leaf]) -> None:
        self.root = root
        self.steps = steps
        self.leaves = leaves

    def __str__(self) -> str:
        lines = [
            f"The chain rule of {_primary(self.root)}.backward(), from the result to the leaves"
        ]
        for step in self.steps[:_PRINTED]:
            lines += ["", *self._step(step)]
        if (more := len(self.steps) - _PRINTED) > 0:
            lines += ["", f"… and {more} further steps: see .steps"]
        lines += ["", "Gradients of the leaves"]
        for leaf in self.leaves:
            lines.append(f"    {self._d(leaf.name)} = {self._sum(leaf.gradient, leaf.paths)}")
            lines += [f"    {note}" for note in _hooked(leaf.hooks)]
        return "\n".join(lines) + "\n"

    def __repr__(self) -> str:
        return f"<explanation of {self.root}: {len(self.steps)} steps, {len(self.leaves)} leaves>"

    def _d(self, of: str) -> str:
        return f"d{_bracketed(self.root)}/d{_bracketed(of)}"

    @staticmethod
    def _sum(total: Value, paths: list[tuple[int, Value]]) -> str:
        if len(paths) < 2:
            return str(total)
        steps = [number for number, _ in paths]
        parts: list[str] = []
        for i, (number, value) in enumerate(paths):
            way = f"step {number}"
            if (ways := steps.count(number)) > 1:
                way += f", way {steps[:i].count(number) + 1} of {ways}"
            parts.append(f"{_signed(value)} ({way})")
        return f"{' + '.join(parts)} = {total}"

    def _step(self, step: Step) -> Iterator[str]:
        place = f"   {_place(step.source)}" if step.source else ""
        names = ", ".join([step.of, *(other.of for other in step.others)])
        yield f"{step.number}. {names}   {step.node}{place}"
        for line in self._arrivals(step):
            yield f"    {line}"
        kept = [f"{name} = {value}" for _, name, value in step.saved]
        if kept:
            yield f"    kept: {', '.join(kept)}"
        for note in _hooked(step.hooks):
            yield f"    {note}"
        for part in step.contributions:
            yield f"    {self._line(step, part)}"

    def _arrivals(self, step: Step) -> Iterator[str]:
        for of, gradient, paths in ((step.of, step.gradient, step.paths), *step.others):
            yield f"{self._d(of)} = {self._sum(gradient, paths)}"

    def _line(self, step: Step, part: Contribution) -> str:
        target, incoming = self._d(part.of), self._d(step.of)
        if step.others:
            every = ", ".join([incoming, *(self._d(other.of) for other in step.others)])
            return f"{target} = from {every} = {part.gradient}"
        if part.local is not None and part.local.size == step.gradient.size:
            local = f"d{_bracketed(step.of)}/d{_bracketed(part.of)}"
            known = part.formula and part.formula != str(part.local)
            formula = f" = {part.formula}" if known else ""
            if len(part.local.numbers) == 1 and part.local.smallest is None:
                numbers = f" = {_signed(step.gradient)} * {_signed(part.local)}"
            else:
                numbers = ""
            at = f"{local}{formula} = {part.local}"
            return f"{at};  {target} = {incoming} * {local}{numbers} = {part.gradient}"
        rule = part.rule.replace(_INCOMING, incoming) if part.rule else f"from {incoming}"
        return f"{target} = {rule} = {part.gradient}"

    def _repr_html_(self) -> str:
        import html  # not needed before a notebook shows one

        def cells(tag: str, texts: list[str]) -> str:
            inside = "".join(f"<{tag}>{html.escape(text)}</{tag}>" for text in texts)
            return f"<tr>{inside}</tr>"

        rows = [cells("th", ["", "step", "node", "line", "gradient in", "gradients out"])]
        for step in self.steps[:_PRINTED]:
            out = [*_hooked(step.hooks), *(self._line(step, part) for part in step.contributions)]
            place = _place(step.source) if step.source else ""
            incoming = "\n".join(self._arrivals(step))
            texts = [str(step.number), step.of, step.node, place, incoming, "\n".join(out)]
            rows.append(cells("td", texts))
        for leaf in self.leaves:
            total = f"{self._d(leaf.name)} = {self._sum(leaf.gradient, leaf.paths)}"
            rows.append(cells("td", ["", leaf.name, "leaf", "", total, ""]))
        body = "\n".join(rows)
        return f'<table style="white-space: pre-line; text-align: left">\n{body}\n</table>'


def _place(source: tuple[str, int, str, str | None]) -> str:
    return f"{os.path.basename(source[0])}:{source[1]}"


def _bracketed(text: str) -> str:
    plain = text.replace("_", "").replace(".", "").replace("[", "").replace("]", "")
    return text if plain.isalnum() else f"({text})"


def _primary(text: str) -> str:
    """In brackets where a dot would bind to a part of it only."""
    import ast  # not needed before something is explained

    try:
        body = ast.parse(text, mode="eval").body
    except SyntaxError:
        return text
    loose = ast.BinOp | ast.UnaryOp | ast.BoolOp | ast.Compare | ast.IfExp | ast.Lambda | ast.Await
    return f"({text})" if isinstance(body, loose) else text


def _signed(value: Value) -> str:
    text = str(value)
    return f"({text})" if text.startswith("-") else text


class _Labels:
    """Short texts for values of the graph: names, else the expression that computed them."""

    def __init__(self, steps: list[dict[str, Any]]) -> None:
        self.known: dict[tuple[int, int], str] = {}
        named: set[tuple[int, int]] = set()
        shared: dict[int, int] = {}
        for step in steps:
            shared[step["site"]] = shared.get(step["site"], 0) + 1
        for number, step in enumerate(steps, 1):
            text = step["source"][3] if step["source"] else None
            operation = step["operation"] or step["node"]
            if not text:
                text = f"{operation} #{number}"
            elif shared[step["site"]] > 1:
                text = f"{operation} #{number} of {text}"
            if step["leaf"] is not None:
                text = step["leaf_name"] or f"leaf #{number}"
            for nr, name in enumerate(step["makes"] or [None]):
                self.known[step["key"], nr] = name or (text if nr == 0 else f"{text}[{nr}]")
                if name or step["leaf"] is not None:
                    named.add((step["key"], nr))

        # The same expression at two places: which of them is meant.
        told = Counter(self.known.values())
        numbers = {step["key"]: number for number, step in enumerate(steps, 1)}
        for key, text in self.known.items():
            if told[text] > 1 and "#" not in text and key not in named:
                self.known[key] = f"{text} #{numbers[key[0]]}"

        # `10 - d` is a sum with -d, which no text of the program says.
        for step in reversed(steps):
            plain = step["node"] == "NegBackward" and step["edges"][0] and not step["makes"][0]
            if plain and shared[step["site"]] > 1:
                self.known[step["key"], 0] = f"-{_bracketed(self.of(step['edges'][0]))}"

    def of(self, edge: tuple[int, int]) -> str:
        return self.known.get(edge, "?")


def explain(
    variable: _C.Variable, gradient: _C.Variable | _C._TensorBase | None = None
) -> Explanation:
    """The chain rule of `variable.backward(gradient)`, step by step in numbers.

    Nothing changes: no `.grad`, and the graph can still be walked back over. Hooks are not called;
    the text says where there are some.
    A Function's own `backward` runs, once.
    Variables are named as the caller names them. Returns an `Explanation` to print, or to read:
    `steps` and `leaves` are plain objects. Raises TypeError for anything but a Variable, and what
    `backward` would raise.

    >>> import rgrad as torch
    >>> from rgrad.autograd import Variable
    >>> w = Variable(torch.FloatTensor([3]), requires_grad=True)
    >>> y = w * w
    >>> torch.explain(y).leaves[0].gradient.numbers
    [6.0]
    """
    if not isinstance(variable, _C.Variable):
        raise TypeError(
            f"explain: needs a Variable, whose backward it explains; got {type(variable).__name__}"
        )
    raw: list[dict[str, Any]] = []
    caller = sys._getframe(1)
    names = _names.visible(caller)
    _C._explain(variable, gradient, names, lambda step: raw.append(_small(step)))
    labels = _Labels(raw)
    code = caller.f_code
    taken = {*caller.f_globals, *code.co_varnames, *code.co_cellvars, *code.co_freevars}
    return _told(raw, labels, taken)


def _small(step: dict[str, Any]) -> dict[str, Any]:
    """The step with summaries instead of tensors."""

    def each(tensors: list[Any]) -> list[Value | None]:
        return [None if t is None else _value(t) for t in tensors]

    step["saved"] = [(op, name, i, _value(t)) for op, name, i, t in step["saved"]]
    step["incoming"] = [g and (_value(g[0]), g[1]) for g in step["incoming"]]
    step["outgoing"] = each(step["outgoing"])
    step["local"] = each(step["local"])
    return step


def _told(raw: list[dict[str, Any]], labels: _Labels, taken: set[str]) -> Explanation:
    steps: list[Step] = []
    leaves: list[Leaf] = []
    paths: dict[tuple[int, int], list[tuple[int, Value]]] = {}
    for told in raw:
        arrived = {
            (told["key"], nr): g[0] for nr, g in enumerate(told["incoming"]) if g is not None
        }
        (here, total), *others = arrived.items()
        if told["leaf"] is not None:
            way = paths.get(here, [])
            leaves.append(Leaf(labels.of(here), told["leaf"], total, way, told["hooks"]))
            continue
        words = _words(told, labels, taken)
        step = Step(
            number=len(steps) + 1,
            node=told["node"],
            operation=told["operation"] or told["node"],
            of=labels.of(here),
            source=told["source"],
            gradient=total,
            paths=paths.get(here, []),
            saved=[(op, words[i], value) for op, _, i, value in told["saved"]],
            contributions=[],
            others=tuple(Arrival(labels.of(at), g, paths.get(at, [])) for at, g in others),
            hooks=told["hooks"],
        )
        steps.append(step)
        for i, out in enumerate(told["outgoing"]):
            edge = told["edges"][i] if i < len(told["edges"]) else None
            if out is None or edge is None:
                continue
            paths.setdefault(edge, []).append((step.number, out))
            local = told["local"][i] if i < len(told["local"]) else None
            rule = _rule(told, i, words)
            part = Contribution(words[i], labels.of(edge), _local(rule), local, out, rule)
            step.contributions.append(part)
    root = labels.of((raw[0]["key"], len(raw[0]["incoming"]) - 1))
    return Explanation(root, steps, leaves)


def _words(told: dict[str, Any], labels: _Labels, taken: set[str]) -> dict[int, str]:
    """What each operand is called, by index, and the result as -1 and behind the last."""
    # A letter of the table that the program uses too would be taken for the program's.
    words = {
        i: f"operand {i + 1}" if letter in taken else letter
        for i, letter in enumerate(told["operands"])
    }
    for i, edge in enumerate(told["edges"]):
        if edge is not None:
            words[i] = labels.of(edge)
    for _, name, i, _ in told["saved"]:
        if name:
            words.setdefault(i, name)
            if i >= len(told["edges"]) or told["edges"][i] is None:
                words[i] = name
    words[-1] = labels.of((told["key"], 0))
    for _, _, i, _ in told["saved"]:
        if (nr := i - len(told["operands"])) >= 0:
            words[i] = labels.known.get((told["key"], nr), words[-1])
    return words


#: Stands for the incoming gradient in texts.
_INCOMING = "\0"
#: Of nodes that no row of the table made.
_OTHERS = {"CopySlices": ["{}, 0 in the part that was written", "{} in the part that was written"]}


def _rule(told: dict[str, Any], i: int, words: dict[int, str]) -> str | None:
    """How the gradient of operand `i` is computed, with what its operands are called."""
    formulas = told["formulas"]
    if i >= len(formulas) or formulas[i] is None:
        others = _OTHERS.get(told["node"])
        return others[min(i, 1)].format(_INCOMING) if others else None
    incoming, text = formulas[i]
    count = len(told["operands"])
    known = {name: words.get(at, name) for at, name in enumerate(told["letters"])}
    known |= dict.fromkeys(told["letters"][count:], words[-1])
    known |= told["arguments"]
    known = {name: _bracketed(word) for name, word in known.items()}
    known[incoming] = _INCOMING
    return re.sub(r"[A-Za-z_]\w*(?!\w|\()", lambda m: known.get(m[0], m[0]), text)


def _local(rule: str | None) -> str | None:
    """The local derivative in a gradient that is a product with one."""
    if rule in (_INCOMING, f"-{_INCOMING}"):
        return rule.replace(_INCOMING, "1")
    for start, instead in ((f"{_INCOMING} * ", ""), (f"{_INCOMING} / ", "1 / ")):
        if rule and rule.startswith(start) and rule.count(_INCOMING) == 1:
            return instead + rule[len(start) :]
    return None


def _hooked(hooks: int) -> list[str]:
    if not hooks:
        return []
    are = "is a hook, which is" if hooks == 1 else f"are {hooks} hooks, which are"
    return [f"here {are} not called for this text and can change the gradient"]
