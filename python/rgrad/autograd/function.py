"""Operations that users define, with their own way back, in the two styles of 0.3."""

import functools
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from .. import _C
from .._C import Variable, _TensorBase

__all__ = [
    "Function",
    "InplaceFunction",
    "NestedIOFunction",
    "once_differentiable",
    "traceable",
]

_F = TypeVar("_F", bound=Callable[..., Any])
_Class = TypeVar("_Class", bound="type[Function]")


def _missing(function: _F) -> _F:
    function._is_missing = True  # type: ignore[attr-defined]
    return function


class BackwardCFunction(_C._FunctionBase):
    """The context of one call of a new-style Function, and its node in the graph."""

    _is_legacy = False
    _forward_cls: "type[Function]"

    # Of the class where functions are called, of the object where their nodes are.
    def apply(self, *gradients: Variable) -> Any:  # type: ignore[override]
        """What the way back calls: the Function's own `backward`."""
        return self._forward_cls.backward(self, *gradients)


class FunctionMeta(type):
    """Makes the class `<Name>Backward` of contexts for each Function."""

    def __init__(cls, name: str, bases: tuple[type, ...], attributes: dict[str, Any]) -> None:
        super().__init__(name, bases, attributes)
        # Nodes of all Functions are shown under this module's name.
        members = {"_forward_cls": cls, "__module__": "torch.autograd.function"}
        cls._backward_cls = type(name + "Backward", (BackwardCFunction,), members)


class Function(_C._FunctionBase, metaclass=FunctionMeta):
    """An operation with its own derivative.

    New style: `forward(ctx, *args)` and `backward(ctx, *gradients)` are static methods, and `apply`
    runs it. Old style: they are methods of an instance that is called once.

    >>> import rgrad as torch
    >>> class Double(Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         return x * 2
    ...
    ...     @staticmethod
    ...     def backward(ctx, gradient):
    ...         return gradient * 2
    >>> x = Variable(torch.ones(1), requires_grad=True)
    >>> Double.apply(x).backward()
    >>> x.grad.data[0]
    2.0
    """

    __module__ = "torch.autograd.function"
    _is_legacy = True
    is_traceable = False

    @staticmethod
    @_missing
    def forward(*args: Any) -> Any:
        """Computes results, raw tensors, from arguments, where Variables come as raw tensors."""
        raise NotImplementedError("a Function must define forward")

    @staticmethod
    @_missing
    def backward(*gradients: Any) -> Any:
        """Computes the gradient of each argument from those of the results."""
        raise NotImplementedError("a Function must define backward to be differentiated")


def once_differentiable(function: Callable[..., Any]) -> Callable[..., Any]:
    """For `backward` under @staticmethod: it gets raw tensors, and differentiating again fails."""

    @functools.wraps(function)
    def wrapper(ctx: Any, *gradients: Variable) -> Any:
        raw = [g.data if isinstance(g, Variable) else g for g in gradients]
        result = function(ctx, *raw)
        given = result if isinstance(result, tuple) else (result,)
        plain = any(isinstance(g, Variable) and g.volatile for g in gradients)
        made: list[Any] = []
        for value in given:
            if isinstance(value, _TensorBase):
                value = Variable(value, volatile=plain)
            made.append(value)
        results = tuple(made)
        if not plain:
            results = _C._delayed_error(
                f"{type(ctx).__name__}: trying to differentiate twice a function that was marked "
                "with @once_differentiable; write its backward with Variables and without it",
                ctx,
                gradients,
                *results,
            )
        return results if isinstance(result, tuple) else results[0]

    return wrapper


def traceable(fn_cls: _Class) -> _Class:
    """Marks a Function as one that computes with Variables only; nothing here depends on it."""
    fn_cls.is_traceable = True
    return fn_cls


class InplaceFunction(Function):
    """An old-style Function that may work in place, as `self.inplace` says."""

    __module__ = "torch.autograd.function"

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace


def _leaves(value: Any, kind: type, name: str) -> Iterator[Any]:
    """The parts of nested lists and tuples, left to right; None is a part too."""
    if value is None or isinstance(value, kind):
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _leaves(part, kind, name)
    else:
        raise ValueError(
            f"{name}: needs {kind.__name__.strip('_')} or None in lists and tuples; "
            f"got {type(value).__name__}"
        )


def _rebuild(parts: Iterator[Any], shape: Any) -> Any:
    """`parts` in the nesting of `shape`."""
    if isinstance(shape, list | tuple):
        return type(shape)(_rebuild(parts, s) for s in shape)
    return None if shape is None else next(parts)


class NestedIOFunction(Function):
    """An old-style Function whose arguments and results are nested lists and tuples.

    `forward_extended` and `backward_extended` take and return them; what is saved stays nested.
    """

    __module__ = "torch.autograd.function"

    def _do_forward(self, *args: Any) -> Any:
        self._nested_input = args
        name = type(self).__name__
        flat = [v for v in _leaves(args, Variable, name) if v is not None]
        made = super()._do_forward(*flat)
        shape = self._nested_output
        del self._nested_output
        made = made if isinstance(made, tuple) else (made,)
        self._output_shape = _rebuild(iter([True] * len(made)), shape)
        return _rebuild(iter(made), shape)

    # An old-style Function has methods where a new-style one has static methods.
    def forward(self, *flat: _TensorBase) -> Any:  # type: ignore[override]
        nested = _rebuild(iter(flat), self._nested_input)
        del self._nested_input
        self._input_shape = _rebuild(iter([True] * len(flat)), nested)
        result = self.forward_extended(*nested)
        self._nested_output = result
        found = _leaves(result, _TensorBase, type(self).__name__)
        return tuple(t for t in found if t is not None)

    def backward(self, *flat: _TensorBase) -> Any:  # type: ignore[override]
        nested = _rebuild(iter(flat), self._output_shape)
        several = nested if isinstance(nested, tuple) else (nested,)
        result = self.backward_extended(*several)
        result = result if isinstance(result, tuple) else (result,)
        return tuple(_fill(result, self._input_shape, type(self).__name__))

    def save_for_backward(self, *args: Any) -> None:
        self._saved_shape = _rebuild(_forever(), args)
        found = _leaves(args, _TensorBase, type(self).__name__)
        super().save_for_backward(*[t for t in found if t is not None])

    @property
    def saved_tensors(self) -> Any:
        return _rebuild(iter(super().saved_tensors), self._saved_shape)

    def mark_dirty(self, *args: Any) -> None:
        super().mark_dirty(*_leaves(args, _TensorBase, type(self).__name__))

    def mark_non_differentiable(self, *args: Any) -> None:
        super().mark_non_differentiable(*_leaves(args, _TensorBase, type(self).__name__))

    def forward_extended(self, *args: Any) -> Any:
        """Computes nested results from nested tensors."""
        raise NotImplementedError("a NestedIOFunction must define forward_extended")

    def backward_extended(self, *gradients: Any) -> Any:
        """Computes nested gradients of the arguments from those of the results."""
        raise NotImplementedError("a NestedIOFunction must define backward_extended")


def _forever() -> Iterator[bool]:
    while True:
        yield True


def _fill(value: Any, shape: Any, name: str) -> Iterator[Any]:
    """The gradients in `value` for each tensor in `shape`; None stands for all below it."""
    if not isinstance(shape, list | tuple):
        if shape is not None:
            yield value
        return
    if value is None:
        value = [None] * len(shape)
    if not isinstance(value, list | tuple):
        raise ValueError(f"{name}: needs lists and tuples of tensors; got {type(value).__name__}")
    given = list(value) + [None] * (len(shape) - len(value))
    for part, wanted in zip(given, shape, strict=True):
        yield from _fill(part, wanted, name)
