"""The tutorial's graph: every value and gradient beside the one derived by hand, and its pictures.

    b = w1*a    c = w2*a    d = w3*b + w4*c    L = 10 - d

Ends with exit code 1 when a single number differs.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

import rgrad as torch
from rgrad.autograd import Variable

failures = []


def check(name, got, wanted, why, within=0):
    """One line: what rgrad says, what the hand-derived formula says, whether they agree."""
    agree = abs(got - wanted) <= within
    if not agree:
        failures.append(name)
    print(f"  {name:<8}{got:>10.4g}{wanted:>10.4g}   {'✓' if agree else 'WRONG':<7}{why}")


def check_array(name, got, wanted, why):
    """The same for a whole array: its largest difference, which rounding may make."""
    difference = float(np.abs(got - wanted).max())
    # The sum is added up in another order than NumPy's: some roundings of 6e-8, here with room.
    agree = got.shape == wanted.shape and difference <= 1e-6 * max(1, np.abs(wanted).max())
    if not agree:
        failures.append(name)
    print(f"  {name:<8}differs by {difference:.1e} at most   {'✓' if agree else 'WRONG':<7}{why}")


def leaf(number):
    """A parameter: a Variable whose gradient we want."""
    return Variable(torch.FloatTensor([number]), requires_grad=True)


def one(variable):
    return variable.data[0]


def scalar_graph(out):
    print("1. The graph of the tutorial\n")
    a = Variable(torch.FloatTensor([2]))
    w1, w2, w3, w4 = leaf(3), leaf(5), leaf(7), leaf(11)

    b = w1 * a
    c = w2 * a
    d = w3 * b + w4 * c
    L = 10 - d
    for inner in (b, c, d):
        inner.retain_grad()  # only leaves keep their gradient unless asked
    explanation = torch.explain(L)  # before backward(), which frees what the graph keeps
    L.backward()

    print("  value        rgrad   by hand")
    check("b", one(b), 3 * 2, "w1*a")
    check("c", one(c), 5 * 2, "w2*a")
    check("d", one(d), 7 * 6 + 11 * 10, "w3*b + w4*c")
    check("L", one(L), 10 - 152, "10 - d")
    print("\n  gradient     rgrad   by hand")
    check("dL/dd", one(d.grad), -1, "-1")
    check("dL/db", one(b.grad), -7, "dL/dd * w3")
    check("dL/dc", one(c.grad), -11, "dL/dd * w4")
    check("dL/dw1", one(w1.grad), -7 * 2, "dL/db * a")
    check("dL/dw2", one(w2.grad), -11 * 2, "dL/dc * a")
    check("dL/dw3", one(w3.grad), -6, "dL/dd * b")
    check("dL/dw4", one(w4.grad), -10, "dL/dd * c")
    if a.grad is not None:
        failures.append("a.grad")
    print("\n  a is data, not a parameter: a.grad is", a.grad)

    print("\n2. The same graph, explained by itself\n")
    names = {w1: "w1", w2: "w2", w3: "w3", w4: "w4"}
    walk(L.grad_fn, names)

    print("\n  The chain rule of this backward, in numbers:\n")
    print(explanation)
    for end in explanation.leaves:
        if end.gradient.numbers != [one(end.variable.grad)]:
            failures.append(f"explain: {end.name}")

    # The names in the pictures are the ones these Variables have right here.
    picture = torch.draw(L)
    for kind, drawing in (("variables", picture.variables), ("functions", picture.functions)):
        path = out / f"tutorial-{kind}.svg"
        drawing.save(str(path))
        print(f"\n  The graph of {kind.capitalize()} ({path}):\n")
        print(drawing)

    print("\n3. One step of gradient descent: w.data -= 0.01 * w.grad.data\n")
    weights = {"w1": w1, "w2": w2, "w3": w3, "w4": w4}
    before = {name: one(w) for name, w in weights.items()}
    slopes = {name: one(w.grad) for name, w in weights.items()}
    for w in weights.values():
        w.data -= 0.01 * w.grad.data
    for name, w in weights.items():
        formula = f"{before[name]:g} - 0.01 * {slopes[name]:g}"
        # 0.01 is not a number of f32, and the product is rounded again.
        check(name, one(w), before[name] - 0.01 * slopes[name], formula, within=1e-5)
    lower = 10 - (w3 * (w1 * a) + w4 * (w2 * a))
    print(f"\n  L went from {one(L):.4g} to {one(lower):.4g}.")
    if not one(lower) < one(L):
        failures.append("the step did not lower L")


def walk(function, names):
    """Prints the Functions from the result down to the leaves; a stack serves any depth."""
    print("  L.grad_fn and what each Function passes its gradients on to:\n")
    found, stack = set(), [(function, 1)]
    while stack:
        function, depth = stack.pop()
        variable = getattr(function, "variable", None)
        leaf_name = f"  (into {names[variable]}.grad)" if variable in names else ""
        found.add(variable)
        print("  " + "  " * depth + type(function).__name__ + leaf_name)
        below = [child for child, _ in function.next_functions if child is not None]
        stack += [(child, depth + 1) for child in reversed(below)]
    if lost := [name for variable, name in names.items() if variable not in found]:
        failures.append(f"next_functions does not lead to {', '.join(lost)}")


def tensors():
    print("\n4. Tensors\n")
    array = np.array([[1, 2, 3], [4, 5, 6]], dtype=np.float32)
    shared = torch.from_numpy(array)
    array[0, 0] = 100
    print("torch.from_numpy(array), after array[0, 0] = 100: both are the same memory.")
    print(shared)
    if shared[0][0] != 100:
        failures.append("from_numpy does not share memory")
    print("torch.LongTensor([[2, 4], [5, 6]])")
    print(torch.LongTensor([[2, 4], [5, 6]]))
    torch.manual_seed(0)
    print("torch.randn((4, 3))")
    print(torch.randn((4, 3)))


def vector_graph():
    print("5. The same graph on arrays of 4 x 3\n")
    a = Variable(torch.randn((4, 3)))
    w1, w2, w3, w4 = (Variable(torch.randn((4, 3)), requires_grad=True) for _ in range(4))
    b = w1 * a
    c = w2 * a
    d = w3 * b + w4 * c
    L = (10 - d).sum()
    L.backward()

    an, n1, n2, n3, n4 = (v.data.numpy() for v in (a, w1, w2, w3, w4))
    check_array("L", L.data.numpy(), np.array([(10 - n3 * n1 * an - n4 * n2 * an).sum()]), "")
    check_array("dL/dw1", w1.grad.data.numpy(), -n3 * an, "-w3*a")
    check_array("dL/dw2", w2.grad.data.numpy(), -n4 * an, "-w4*a")
    check_array("dL/dw3", w3.grad.data.numpy(), -n1 * an, "-b")
    check_array("dL/dw4", w4.grad.data.numpy(), -n2 * an, "-c")


def main():
    parser = argparse.ArgumentParser(description="Runs the tutorial's example and checks it.")
    parser.add_argument("--out", type=Path, default=Path("out"), help="where the pictures go")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # a terminal without ✓ shows ?

    scalar_graph(out)
    tensors()
    vector_graph()
    if failures:
        print(f"\nNot as derived by hand: {', '.join(failures)}.")
        return 1
    print("\nEvery number agrees with the one derived by hand.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
