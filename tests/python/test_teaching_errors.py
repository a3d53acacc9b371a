"""Errors of the graph: the class and words of 0.3, the Variable's name, the line, the fix."""

import dis
import gc
import inspect
import linecache
import re
import threading
import weakref

import pytest

import rgrad as torch
from rgrad import _C
from rgrad.autograd import Variable, set_source_lines, source_of

pytestmark = pytest.mark.skipif(
    not _C._source_lines_are_quick(), reason="frames of this Python cannot be read in place"
)


def leaf(*numbers, **flags):
    return Variable(torch.FloatTensor(list(numbers)), **(flags or {"requires_grad": True}))


def message(function):
    with pytest.raises(RuntimeError) as caught:
        function()
    return str(caught.value)


def line_of(function, text):
    """`file:line` of the one line of `function` that contains `text`."""
    lines, first = inspect.getsourcelines(function)
    (at,) = [first + i for i, line in enumerate(lines) if text in line]
    return f"test_teaching_errors.py:{at}:"


def test_freed_graph_names_variable_and_line_of_the_forward_operation():
    """E-27."""

    def twice():
        w, x = leaf(2), leaf(3)
        product = w * x
        product.backward()
        product.backward()

    text = message(twice)
    assert "backward through the graph a second time" in text
    assert "specify retain_graph=True" in text
    assert "`product` was computed at" in text
    assert line_of(twice, "product = w * x") in text and text.endswith("w * x")


def test_saved_value_changed_in_place_names_both_lines():
    """E-28, A-117."""

    def change():
        w, x = leaf(2), leaf(3, requires_grad=False)
        y = w * x
        x.add_(1)
        y.backward()

    text = message(change)
    assert "modified by an inplace operation" in text and "version 0" in text
    assert "the operand is `x`" in text
    assert line_of(change, "y = w * x") in text
    assert line_of(change, "x.add_(1)") in text


def test_result_changed_in_place_is_named_by_its_variable():
    """A-119."""

    def change():
        z = leaf(1)
        y = z.exp()
        twice = y * 2
        y.add_(1)
        twice.backward()

    text = message(change)
    assert "the result is `y`" in text
    assert line_of(change, "y = z.exp()") in text and line_of(change, "y.add_(1)") in text


def test_a_change_in_a_loop_names_the_latest_line():
    """E-28: the version that is there now was made by the last change."""

    def change():
        w, x = leaf(2), leaf(3, requires_grad=False)
        y = w * x
        x.add_(1)
        for _ in range(3):
            x.mul_(2)
        y.backward()

    assert line_of(change, "x.mul_(2)") in message(change)


def test_update_of_the_tutorial_points_at_the_gradient_and_at_data():
    """A-82, E-21: the line where a volatile gradient was used, not the line of the loss."""

    def train():
        w1, lr = leaf(2), 0.1
        for _ in range(2):
            loss = w1 * 3
            loss.backward()
            w1 = w1 - lr * w1.grad

    text = message(train)
    assert "element 0 of variables tuple is volatile" in text
    assert "`loss` is volatile since" in text
    assert line_of(train, "w1 = w1 - lr * w1.grad") in text
    assert "w.data -= lr * w.grad.data" in text


def test_user_made_volatility_is_traced_through_operations():
    """E-21: the place where the user said volatile=True."""

    def infer():
        x = Variable(torch.ones(1), volatile=True)
        y = x * leaf(2)
        z = y + 1
        z.backward()

    text = message(infer)
    assert line_of(infer, "volatile=True") in text
    assert "`z` is volatile" in text and ".grad.data" not in text


def test_a_failed_operation_leaves_no_trace_of_volatility():
    """What a refused operation met must not be blamed later."""

    def infer():
        old = Variable(torch.ones(3), volatile=True)
        with pytest.raises(RuntimeError):
            old + leaf(1, 2)
        w = leaf(2)
        (w * 2).backward()
        y = w - w.grad
        y.backward()

    assert line_of(infer, "y = w - w.grad") in message(infer)


def test_backward_of_many_elements_names_the_variable():
    """E-20."""

    def backward():
        y = leaf(1, 2) * 2
        y.backward()

    text = message(backward)
    assert "grad can be implicitly created only for scalar outputs" in text
    assert line_of(backward, "y = leaf") in text and "`y`" in text


def test_root_without_history_is_named():
    """E-22."""

    def backward():
        plain = leaf(1, requires_grad=False) * 2
        plain.backward()

    text = message(backward)
    assert "does not require grad and does not have a grad_fn" in text and "`plain`" in text


def test_leaf_in_place_is_named():
    """E-8, A-40."""

    def change():
        weight = leaf(1)
        weight.add_(1)

    text = message(change)
    assert "leaf Variable that requires grad has been used in an in-place operation" in text
    assert "`weight`" in text


def test_leaf_with_a_past_names_the_change():
    """E-29, A-45."""

    def change():
        v = leaf(1, 2, requires_grad=False)
        v.mul_(3)
        v.requires_grad = True
        (v * 2).sum().backward()

    text = message(change)
    assert "used in an inplace operation" in text
    assert "`v`" in text and line_of(change, "v.mul_(3)") in text


def test_members_of_objects_and_lists_have_names():
    class Model:
        pass

    def forward(model):
        out = (model.layers[0] * 2).exp()
        (out * 1).backward()

    def use():
        model = Model()
        model.weight = leaf(1)
        model.layers = [model.weight]
        model.weight.add_(1)

    assert "`model.weight`" in message(use)


def test_sites_reach_through_this_package_to_the_caller():
    """Frames of the package's own files are not the user's program."""
    w, x = Variable(torch.ones(4, 3), requires_grad=True), Variable(torch.ones(2, 3))
    made = torch.nn.functional.linear(x, w)
    file, _, function, text = source_of(made)
    assert file == __file__ and function == "test_sites_reach_through_this_package_to_the_caller"
    assert text == "torch.nn.functional.linear(x, w)"


def test_sites_of_generators_lambdas_and_threads():
    w = leaf(1)
    (made,) = tuple(w * 2 for _ in range(1))
    assert source_of(made)[3] == "w * 2"
    triple = lambda v: v * 3  # noqa: E731
    (made,) = map(triple, [w])
    assert source_of(made)[2].endswith("<lambda>")
    found = []
    thread = threading.Thread(target=lambda: found.append(source_of(w * 4)))
    thread.start()
    thread.join()
    assert found[0][3] == "w * 4"


def test_site_of_an_operation_that_releases_the_interpreter():
    big = Variable(torch.ones(300, 300), requires_grad=True)
    assert source_of(big * big)[3] == "big * big"
    assert source_of(big.mm(big))[3] == "big.mm(big)"
    assert source_of(big @ big)[3] == "big @ big"


def test_nodes_of_a_recorded_backward_belong_to_its_line():
    w = leaf(3)
    (w * w).backward(create_graph=True)
    assert source_of(w.grad)[3] == "(w * w).backward(create_graph=True)"


def test_places_agree_with_pythons_own():
    """Line and columns of every instruction, as co_positions gives them."""
    w = leaf(1)
    # Short and long lines, jumps back and ahead, far columns, an expression of many lines.
    lines = [f"{' ' * (i % 3)}made.append(w * {i})".lstrip() for i in range(50)]
    lines.insert(20, "\n" * 300 + "made.append((w\n" + "   * 2\n" * 40 + "))")
    lines.append(f"made.append(({'w, ' * 200} w * 3)[-1])")
    lines.append("for _ in range(2): made.append(w - 1); made.append(w + 1)")
    text = "\n".join(lines)
    linecache.cache["<many>"] = (len(text), None, text.splitlines(keepends=True), "<many>")
    code = compile(text, "<many>", "exec")
    made = []
    exec(code, {"w": w, "made": made})
    wanted = set()
    for instruction in dis.get_instructions(code):
        if instruction.opname == "BINARY_OP":
            at = instruction.positions
            part = text.splitlines()[at.lineno - 1 : at.end_lineno]
            part[-1] = part[-1][: at.end_col_offset]
            part[0] = part[0][at.col_offset :]
            whole = " ".join(" ".join(part).split())
            wanted.add((at.lineno, whole if len(whole) <= 60 else whole[:60] + "…"))
    found = {source_of(v)[1::2] for v in made}
    assert len(found) == 54 and found <= wanted


def test_code_that_dies_is_forgotten():
    """Another code object at the same address gets its own lines, and none is kept alive."""
    w = leaf(1)
    for i in range(200):
        space = {"w": w}
        code = compile("\n" * i + "y = w * 2", f"<cell {i}>", "exec")
        alive = weakref.ref(code)
        exec(code, space)
        assert source_of(space["y"])[:2] == (f"<cell {i}>", i + 1)
        del code, space
        gc.collect(0)
        assert alive() is None


def test_lines_can_be_switched_off():
    w = leaf(1)
    before = set_source_lines(False)
    try:
        assert source_of(w * 2) is None
        y = w * w
        y.backward()
        text = message(y.backward)
        assert "second time" in text and not re.search(r"\.py:\d+", text)
    finally:
        set_source_lines(before)
    assert source_of(w * 2) is not None


def test_deep_recursion_of_a_user_has_places():
    w = leaf(1)

    def down(n):
        return w * 2 if n == 0 else down(n - 1)

    assert source_of(down(200))[2].endswith("down")


def test_source_of_refuses_other_things():
    with pytest.raises(TypeError, match="source_of: needs a Variable"):
        source_of(3)
