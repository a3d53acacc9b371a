"""Variable lives here in 0.3; pickles name this place."""

import importlib

from .._C import Variable, _queue_callback, _TensorBase

__all__ = ["Variable"]


def _rebuild(name: tuple[str, str], data: _TensorBase) -> Variable:
    """A Variable of the class named (module, name) around `data`; `torch` is this package."""
    module, qualname = name
    if module == "torch" or module.startswith("torch."):
        module = "rgrad" + module.removeprefix("torch")
    found = importlib.import_module(module)
    for part in qualname.split("."):
        found = getattr(found, part)
    if not (isinstance(found, type) and issubclass(found, Variable)):
        raise TypeError(f"{module}.{qualname} is no class of Variables")
    return found(data)


class _Engine:
    """What programs of the time call the engine for."""

    queue_callback = staticmethod(_queue_callback)


Variable._execution_engine = _Engine()
