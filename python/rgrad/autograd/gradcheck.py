"""Checking derivatives against differences (A-185…A-187)."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from .. import _C
from .._C import Variable


def zero_gradients(x: Any) -> None:
    """Detaches and zeroes the gradient of `x`, or of every Variable in nested iterables (A-187)."""
    if isinstance(x, Variable):
        if x.grad is not None:
            x.grad.detach_()
            x.grad.data.zero_()
    elif isinstance(x, Iterable) and not isinstance(x, str):
        for element in x:
            zero_gradients(element)


def _wanted(inputs: Any) -> Iterator[Variable]:
    """The Variables in nested iterables that require grad."""
    if isinstance(inputs, Variable):
        if inputs.requires_grad:
            yield inputs
    elif isinstance(inputs, Iterable) and not isinstance(inputs, str):
        for element in inputs:
            yield from _wanted(element)


def _outputs(made: Any) -> list[Variable]:
    """The results that can be checked."""
    every = (made,) if isinstance(made, Variable) else tuple(made)
    return [
        out
        for out in every
        if isinstance(out, Variable) and (out.requires_grad or out.grad_fn is not None)
    ]


def _flat(tensor: Any) -> Any:
    return tensor.clone().contiguous().view(-1)


def _numeric(
    func: Callable[..., Any], inputs: Any, at: int, x: Variable, size: int, eps: float
) -> Any:
    """(f(x + eps) - f(x - eps)) / 2 eps: a row for each element of `x`, a column for each of the
    output numbered `at`."""
    rows = _C.DoubleTensor(x.data.numel(), size).zero_()
    before = _flat(x.data)
    try:
        for i in range(before.numel()):
            sides = []
            for step in (eps, -eps):
                moved = before.clone()
                moved[i] = before[i] + step
                x.data.copy_(moved.view(x.data.size()))
                sides.append(_flat(_outputs(func(*inputs))[at].data.double()))
            rows[i] = (sides[0] - sides[1]) / (2 * eps)
    finally:
        if before.numel():
            x.data.copy_(before.view(x.data.size()))
    return rows


def _analytic(
    inputs: Any, wanted: list[Variable], output: Variable
) -> tuple[list[Any], bool, bool]:
    """The same from backward, with a one for one element of the output at a time; whether a second
    backward gives the same, and whether all gradients have their input's size."""
    size = output.data.numel()
    both: list[list[Any]] = []
    for _ in range(2):
        both.append([_C.DoubleTensor(x.data.numel(), size).zero_() for x in wanted])
    fits = True
    for column in range(size):
        one = output.data.new(output.data.size()).zero_()
        one.view(-1)[column] = 1
        for rows in both:
            zero_gradients(inputs)
            output.backward(one, create_graph=True)
            for jacobian, x in zip(rows, wanted, strict=True):
                if x.grad is None:
                    continue
                if x.grad.size() != x.size():
                    fits = False
                    continue
                if jacobian.numel():
                    jacobian.select(1, column).copy_(_flat(x.grad.data.double()))
    same = all(_C.equal(a, b) for a, b in zip(*both, strict=True))
    return both[0], same, fits


def _close(analytic: Any, numeric: Any, atol: float, rtol: float) -> bool:
    if analytic.numel() == 0:
        return True
    within = (analytic - numeric).abs() <= numeric.abs() * rtol + atol
    return bool(int(within.long().sum()) == within.numel())


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """Whether backward of `func` at `inputs` agrees with central differences.

    Passes where |analytic - numeric| <= atol + rtol |numeric| for every element; every input that
    requires grad is moved by `eps`, so use DoubleTensors. Two backwards must agree bit for bit, a
    gradient must have its input's size, and zeros must give zeros. The inputs' `.grad` is
    overwritten. Returns True; otherwise raises RuntimeError with both Jacobians, or returns False
    unless `raise_exception`; so it does for a backward that fails.

    >>> import rgrad as torch
    >>> from rgrad.autograd import Variable, gradcheck
    >>> x = Variable(torch.randn(3).double(), requires_grad=True)
    >>> gradcheck(lambda x: x.tanh(), (x,))
    True
    """

    def fail(message: str) -> bool:
        if raise_exception:
            raise RuntimeError(f"gradcheck: {message}")
        return False

    wanted = list(_wanted(inputs))
    outputs = _outputs(func(*inputs))
    for at, output in enumerate(outputs):
        size = output.data.numel()
        numeric = [_numeric(func, inputs, at, x, size, eps) for x in wanted]
        output = _outputs(func(*inputs))[at]
        try:
            analytic, same, fits = _analytic(inputs, wanted, output)
        except RuntimeError:
            # The engine refuses gradients that do not fit.
            if raise_exception:
                raise
            return False
        for i, (a, n) in enumerate(zip(analytic, numeric, strict=True)):
            if not _close(a, n, atol, rtol):
                return fail(
                    f"Jacobian mismatch for output {at} with respect to input {i},\n"
                    f"numerical:{n}\nanalytical:{a}\n"
                )
        if not same:
            return fail(f"not reentrant: two backwards of output {at} give different gradients")
        if not fits:
            return fail("Analytical gradient has incorrect size: it must be that of its input")
    zero_gradients(inputs)
    outputs = _outputs(func(*inputs))
    if outputs:
        zeros = [out.data.new(out.data.size()).zero_() for out in outputs]
        _C.backward(outputs, zeros, create_graph=True)
    for x in wanted:
        if x.grad is not None and x.grad.data.numel() and float(x.grad.data.abs().max()) != 0:
            return fail("backward not multiplied by grad_output: zeros do not give zeros")
    return True


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
) -> bool:
    """The same for the gradients of `func`: second derivatives (A-186).

    `grad_outputs` are the gradients of the outputs, random normal unless given; they must be the
    same kind of sequence as `inputs`.
    """
    outputs = _outputs(func(*inputs))
    if not outputs:
        return True
    if grad_outputs is None:
        drawn = []
        for out in outputs:
            noise = _C.randn(*out.data.size()).type_as(out.data)
            drawn.append(Variable(noise, requires_grad=True))
        grad_outputs = type(inputs)(drawn)
    if type(inputs) is not type(grad_outputs):
        raise TypeError(
            "gradgradcheck: inputs and grad_outputs must be the same sequence type; got "
            f"{type(inputs).__name__} and {type(grad_outputs).__name__}"
        )
    count = len(inputs)

    def gradients(*both: Any) -> Any:
        given, weights = both[:count], both[count:]
        inner = tuple(_wanted(given))
        return _C.grad(_outputs(func(*given)), inner, list(weights), create_graph=True)

    return gradcheck(gradients, inputs + grad_outputs, eps, atol, rtol)
