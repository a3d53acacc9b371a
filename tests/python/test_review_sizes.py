"""Gradients that meet data of another size: an error with both sizes, never memory of others."""

import pytest

import rgrad as torch
import rgrad.nn.functional as F
from rgrad.autograd import Function, Variable, backward, grad
from support import run_python

D = torch.DoubleTensor


def leaf(*values):
    return Variable(D(list(values)), requires_grad=True)


# What a leaf's .grad holds.


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("volatile", [False, True])
@pytest.mark.parametrize(("before", "after"), [(3, 2), (3, 1), (1, 3), (3, 20_000)])
def test_a_gradient_of_another_size_than_the_old_one_names_both(
    before, after, volatile, create_graph
):
    """A-80, E-4: nothing is read outside, cut off or repeated."""
    x = Variable(torch.ones(before), requires_grad=True)
    x.grad = Variable(torch.ones(before), volatile=volatile)
    x.data = torch.ones(after)
    with pytest.raises(RuntimeError) as error:
        (x * 2).sum().backward(create_graph=create_graph)
    text = str(error.value)
    assert f"of size {after}," in text
    assert f"of size {before} from before; set .grad to None" in text
    assert "the leaf is `x`" in text
    assert x.grad.data.tolist() == [1] * before


def test_a_gradient_of_another_class_than_the_old_one_names_both():
    """A-80, E-4: the same for element types."""
    x = Variable(torch.ones(2), requires_grad=True)
    (x * 2).sum().backward()
    x.data = torch.ones(2).double()
    with pytest.raises(RuntimeError, match=r"torch\.DoubleTensor of size 2.*torch\.FloatTensor"):
        (x * 2).sum().backward()


def test_a_resized_gradient_is_not_added_to():
    """A-80: also where the old gradient changed and not the leaf."""
    x = leaf(1, 2, 3)
    (x * 2).sum().backward()
    x.grad.data = D([1, 1])
    with pytest.raises(RuntimeError, match=r"size 3, but the leaf's \.grad holds .* size 2"):
        (x * 2).sum().backward()
    assert x.grad.data.tolist() == [1, 1]


def test_a_large_leaf_made_small_does_not_end_the_process():
    """A-80: a read far outside was a segmentation fault."""
    out = run_python(
        """
        import rgrad as torch
        from rgrad.autograd import Variable
        x = Variable(torch.zeros(20_000_000), requires_grad=True)
        (x * 2).sum().backward()
        x.data = torch.zeros(1)
        try:
            (x * 2).sum().backward()
        except RuntimeError:
            print("refused")
        """
    )
    assert out == "refused\n"


def test_a_size_restored_before_backward_is_fine():
    """A-43: what counts is the size when gradients arrive."""
    x = leaf(1, 2)
    (x * x).sum().backward()
    x.data = D([3])
    x.grad = None
    (x * x).sum().backward()
    assert x.grad.data.tolist() == [6]


def test_elements_of_an_expanded_gradient_do_not_share_what_is_added():
    """A-80: new memory, where the old cannot hold a gradient for each element."""
    x = Variable(torch.ones(3), requires_grad=True)
    x.grad = Variable(torch.ones(1).expand(3), volatile=True)
    (x * Variable(torch.FloatTensor([1, 2, 3]))).sum().backward()
    assert x.grad.data.tolist() == [2, 3, 4]
    assert x.grad.volatile


def test_retained_gradients_of_two_sizes_are_not_added():
    """A-86: no broadcasting between passes."""
    x = leaf(1, 2, 3)
    y = x * 2
    y.retain_grad()
    y.grad = Variable(D([1, 1, 1]), volatile=True)
    y.grad.data.resize_(1)
    with pytest.raises(RuntimeError, match="retain_grad: .* size 3, but .grad holds .* size 1"):
        y.sum().backward()


# Data of results that is replaced.

RESULTS = {
    "tanh": lambda x: x.tanh(),
    "sigmoid": lambda x: x.sigmoid(),
    "relu": F.relu,
    "threshold": lambda x: F.threshold(x, 0.1, 2),
    "clamp": lambda x: x.clamp(-1, 1),
    "clamp min": lambda x: x.clamp(min=0),
    "clamp max": lambda x: x.clamp(max=0),
    "softmax": lambda x: F.softmax(x.view(1, 3), dim=1).view(3),
    "log_softmax": lambda x: F.log_softmax(x.view(1, 3), dim=1).view(3),
    "mul": lambda x: x * x,
    "cumprod": lambda x: x.cumprod(0),
    "masked_select": lambda x: x.masked_select(Variable(torch.ByteTensor([1, 1, 1]))),
    "cat": lambda x: torch.cat([x[:1], x[1:]]),
    "sort": lambda x: x.sort()[0],
    "gather": lambda x: x.gather(0, Variable(torch.LongTensor([2, 1, 0]))),
    "add": lambda x: x + 1,
}


def replaced_by_data(y, n):
    y.data = torch.ones(n).double()
    (y * 1).sum().backward()


def replaced_and_given(y, n):
    y.data = torch.ones(n).double()
    y.backward(torch.ones(n).double())


def resized(y, n):
    y.data.resize_(n).fill_(1)
    (y * 1).sum().backward()


def by_grad(y, n):
    y.data = torch.ones(n).double()
    grad(y.sum(), [y.grad_fn.next_functions[0][0].variable])


@pytest.mark.parametrize("n", [1, 2, 10, 3_000_000])
@pytest.mark.parametrize("how", [replaced_by_data, replaced_and_given, resized])
@pytest.mark.parametrize("name", RESULTS)
def test_results_with_data_of_another_size_get_no_gradient(name, how, n):
    """A-78: an error with both sizes, whichever way the gradient takes."""
    x = leaf(0.1, 0.2, 0.3)
    y = RESULTS[name](x)
    assert y.size() == (3,)
    with pytest.raises(RuntimeError, match=rf"size {n}, where the operation had made .* size 3"):
        how(y, n)
    assert x.grad is None


def test_results_with_data_of_another_class_get_no_gradient():
    """A-78: both classes are named."""
    x = leaf(1, 2)
    y = x * 2
    y.data = y.data.float()
    with pytest.raises(RuntimeError, match=r"a torch\.FloatTensor of size 2, where .* torch\.Dou"):
        (y * 1).sum().backward()


def test_data_of_a_result_may_be_replaced_by_its_like():
    """A-43: values without history; the saved ones are those of the forward pass (A-120)."""
    x = leaf(1, 2)
    y = x * 2
    y.data = D([5, 5])
    (y * y).sum().backward()
    assert x.grad.data.tolist() == [20, 20]


def test_data_of_another_size_can_be_computed_with():
    """A-43: only backward through it is refused."""
    x = leaf(1, 2)
    y = x * 2
    y.data = D([1, 2, 3])
    z = y * 2
    assert z.data.tolist() == [2, 4, 6]
    assert z.requires_grad
    with pytest.raises(RuntimeError, match="go on with a new Variable"):
        z.sum().backward()


def test_a_leaf_turned_result_whose_data_is_resized_gets_no_gradient():
    """A-41, A-78: its data had another owner before it became a result."""
    w = leaf(2, 2)
    data = D([1, 1])
    x = Variable(data)
    x.mul_(w)
    data.resize_(5).fill_(1)
    with pytest.raises(RuntimeError, match="size 5, where the operation had made"):
        (x * 2).sum().backward()


def test_a_result_of_a_function_whose_data_is_resized_gets_no_gradient():
    """A-151, A-78: the tensor that forward returned belongs to others, too."""

    class Twice(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2

    x = leaf(1, 2)
    y = Twice.apply(x)
    y.data.resize_(5).fill_(1)
    with pytest.raises(RuntimeError, match="size 5, where the operation had made"):
        y.sum().backward()


# Nodes are callable and can be given to a constructor.


@pytest.mark.parametrize("n", [1, 2, 10, 3_000_000])
@pytest.mark.parametrize("name", [name for name in RESULTS if name != "add"])
def test_nodes_take_gradients_of_their_results_size_only(name, n):
    """A-53, A-78: a node that cannot tell hands on a gradient of the wrong size."""
    x = leaf(0.1, 0.2, 0.3)
    node = RESULTS[name](x).grad_fn
    while node.next_functions[0][0].next_functions and "ViewBackward" in type(node).__name__:
        node = node.next_functions[0][0]
    with pytest.raises(RuntimeError, match="size"):
        node(Variable(torch.ones(n).double()))


@pytest.mark.parametrize("n", [1, 10, 3_000_000])
def test_a_variable_around_a_node_gives_it_no_gradient_of_another_size(n):
    """A-2, A-78: `_grad_fn=` takes any node."""
    x = leaf(0.1, 0.2, 0.3)
    y = Variable(torch.ones(n).double(), _grad_fn=x.tanh().grad_fn)
    with pytest.raises(RuntimeError, match=rf"TanhBackward0: the gradient has size {n}, .* size 3"):
        y.backward(torch.ones(n).double())
    assert x.grad is None


def test_two_gradients_of_one_result_have_one_size():
    """A-84: none is repeated to fit the other."""
    x = leaf(1, 2, 3)
    y = x + 1
    other = Variable(D([1]), _grad_fn=y.grad_fn)
    with pytest.raises(RuntimeError, match=r"size (1|3), .* size (3|1)"):
        backward([y, other], [D([1, 1, 1]), D([1])])


# Texts and rules of backward and grad.


def test_backward_of_nothing_has_no_nodes():
    """A-75, E-24."""
    for nothing in ([], (), {}):
        with pytest.raises(RuntimeError, match="no graph nodes that require computing gradients"):
            backward(nothing)


def test_grad_speaks_of_itself():
    """E-20…E-25 with the name of the call."""
    x = leaf(1, 2)
    for outputs, outer in [(x * 2, None), (x.sum(), [3]), (x.sum(), [D([1, 2])])]:
        with pytest.raises((RuntimeError, TypeError), match="^grad: "):
            grad(outputs, x, outer)
    with pytest.raises(RuntimeError, match="^grad: element 0 of outputs does not require grad"):
        grad(Variable(D([1])), x)
    with pytest.raises(RuntimeError, match="^grad: element 0 of outputs is volatile"):
        grad(Variable(D([1]), volatile=True), x)


def test_a_part_that_nothing_uses_is_unreachable():
    """A-92, E-34: also where another part of the same chunk is used."""
    x = leaf(1, 2)
    a, b = x.chunk(2)
    for unused, used in [(b, a), (a, b)]:
        y = (used * 3).sum()
        with pytest.raises(RuntimeError, match="unreachable.*allow_unused=True"):
            grad(y, [unused, used], retain_graph=True)
        assert grad(y, [unused, used], allow_unused=True, retain_graph=True)[0] is None


def test_callbacks_of_callbacks_run_in_the_same_pass():
    """A-146."""
    x = leaf(1, 2)
    engine = Variable._execution_engine
    told = []

    def second():
        told.append("second")

    def first():
        told.append("first")
        engine.queue_callback(second)
        told.append("queued")

    x.register_hook(lambda g: engine.queue_callback(first))
    x.sum().backward()
    assert told == ["first", "queued", "second"]


def test_a_callback_that_fails_leaves_nothing_queued():
    """A-146: what it queued before it failed does not run in a later pass."""
    x = leaf(1, 2)
    engine = Variable._execution_engine
    told = []

    def fails():
        engine.queue_callback(lambda: told.append("late"))
        raise KeyError("mine")

    handle = x.register_hook(lambda g: engine.queue_callback(fails))
    with pytest.raises(KeyError):
        x.sum().backward()
    handle.remove()
    x.sum().backward()
    assert told == []


def test_zero_to_a_power_that_needs_a_gradient():
    """0 ^ x is flat where x is positive, at first and second order."""
    x = leaf(0.5, 2)
    (first,) = grad(((0**x) * x).sum(), x, create_graph=True)
    assert first.data.tolist() == [0, 0]
    (second,) = grad(first.sum(), x)
    assert second.data.tolist() == [0, 0]
