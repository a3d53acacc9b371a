"""Drawing the graph that made a Variable."""

import sys
from os import PathLike

from . import _C, _names


class Drawing:
    """Both pictures of a graph.

    `variables` goes from the leaves through the operations to the result, `functions` from
    `grad_fn` along `next_functions`. A notebook shows them, `save` writes SVG, `print` draws text.
    """

    def __init__(self, variables: _C.Picture, functions: _C.Picture) -> None:
        self.variables = variables
        self.functions = functions

    def _repr_svg_(self) -> str:
        return _beside(self.variables._repr_svg_(), self.functions._repr_svg_())

    def save(self, path: str | PathLike[str]) -> None:
        """Writes both pictures, one under the other, as one SVG file."""
        with open(path, "w", encoding="utf-8") as file:
            file.write(self._repr_svg_())

    def __str__(self) -> str:
        return f"{self.variables}\n{self.functions}"

    def __repr__(self) -> str:
        return f"<drawing: {self.variables!r}, {self.functions!r}>"


def _size(svg: str) -> tuple[float, float]:
    """Width and height that an SVG says in its first tag."""
    tag = svg[svg.index("<svg") : svg.index(">", svg.index("<svg"))]

    def number(name: str) -> float:
        at = tag.index(f' {name}="') + len(name) + 3
        return float(tag[at : tag.index('"', at)].removesuffix("px"))

    return number("width"), number("height")


def _beside(first: str, second: str) -> str:
    """One SVG with `first` over `second`."""
    (w1, h1), (w2, h2) = _size(first), _size(second)
    inner = second.replace("<svg", f'<svg y="{h1:g}"', 1)
    w, h = max(w1, w2), h1 + h2
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{w:g}" height="{h:g}" '
        f'viewBox="0 0 {w:g} {h:g}">\n{first}\n{inner}\n</svg>\n'
    )


def draw(variable: _C.Variable) -> Drawing:
    """Draws the graph that made `variable`.

    Variables are named as the caller names them, or by their `name`. Returns a `Drawing`; raises
    TypeError for anything but a Variable.

    >>> import rgrad as torch
    >>> from rgrad.autograd import Variable
    >>> w = Variable(torch.FloatTensor([3]), requires_grad=True)
    >>> "MulBackward0" in str(torch.draw(w * 2).functions)
    True
    """
    if not isinstance(variable, _C.Variable):
        raise TypeError(
            f"draw: needs a Variable, whose graph it draws; got {type(variable).__name__}"
        )
    # The caller's callers may know names too: results are often drawn in a helper.
    names = _names.visible(sys._getframe(1))
    return Drawing(*_C._pictures(variable, names))
