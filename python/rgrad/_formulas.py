"""Derivatives in words of mathematics, for explanations: by class of node, one text an operand.

`{a}`, `{b}`, `{c}` are the operands, `{y}` is the result, `g` the gradient that comes in.
"""

#: d y / d operand of operations that work element by element.
LOCAL: dict[str, tuple[str, ...]] = {
    "AddBackward0": ("1",),
    "AddBackward1": ("1",) * 2,
    "SubBackward0": ("1",),
    "SubBackward1": ("1", "-1"),
    "MulBackward1": ("{b}", "{a}"),
    "DivBackward1": ("1 / {b}", "-{a} / {b}^2"),
    "NegBackward": ("-1",),
    "PowBackward1": ("{b} * {a}^({b} - 1)", "{a}^{b} * log {a}"),
    "ReciprocalBackward": ("-{y}^2",),
    "ExpBackward": ("{y}",),
    "LogBackward": ("1 / {a}",),
    "SqrtBackward": ("1 / (2 * sqrt {a})",),
    "TanhBackward0": ("1 - {y}^2",),
    "SigmoidBackward0": ("{y} * (1 - {y})",),
    "AbsBackward": ("sign {a}",),
    "SinBackward": ("cos {a}",),
    "CosBackward": ("-sin {a}",),
    "ThresholdBackward": ("1 where {a} is above the threshold, else 0",),
}

#: The gradient of each operand of the others.
GRADIENTS: dict[str, tuple[str, ...]] = {
    "MmBackward": ("g @ {b}.t()", "{a}.t() @ g"),
    "MvBackward": ("g outer {b}", "{a}.t() @ g"),
    "DotBackward": ("g * {b}", "g * {a}"),
    "AddmmBackward": ("g", "g @ {c}.t()", "{b}.t() @ g"),
    "SumBackward0": ("g for each element",),
    "SumBackward1": ("g for each element that was summed",),
    "MeanBackward0": ("g / (elements averaged) for each element",),
    "MeanBackward1": ("g / (number of elements) for each element",),
    "ExpandBackward": ("g summed over what was repeated",),
    "ViewBackward": ("g in the size of {a}",),
    "TBackward": ("g.t()",),
    "TransposeBackward": ("g transposed back",),
    "CloneBackward": ("g",),
    "CatBackward": ("g, the part of {a}", "g, the part of {b}"),
    "MseLossBackward": ("g * 2 * (input - target) / (number of elements)",),
}
