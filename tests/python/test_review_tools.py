"""Explanations, anomaly mode, gradcheck and profiles where a review found them wanting."""

import warnings

import pytest

import rgrad as torch
from rgrad.autograd import (
    Function,
    Variable,
    backward,
    detect_anomaly,
    gradcheck,
    gradgradcheck,
    profiler,
)
from support import double, leaf, same

NAN, INF = float("nan"), float("inf")


class Side(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.count = 0
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        ctx.count += 1
        return g * ctx.count


# explain


def test_explain_runs_the_backward_of_a_function_once():
    x = leaf([2.0])
    a = Side.apply(x)
    text = str(torch.explain(a))
    assert a.grad_fn.count == 1
    assert "1 * 2 = 1" not in text and "= 1 * " not in text
    assert "da/dx = from da/da = 1" in text


def test_explain_shows_what_a_function_saved():
    x = leaf([2.0])
    a = Side.apply(x)
    assert "kept: x = 2" in str(torch.explain(a))


def test_explain_shows_all_results_of_a_step():
    x = leaf([1.0, 2.0, 3.0, 4.0])
    a, b = x.chunk(2)
    m, _ = (a * b).max(0)
    explained = torch.explain(m)
    step = explained.steps[-1]
    assert step.of == "a" and step.gradient.numbers == [0.0, 4.0]
    (other,) = step.others
    assert other.of == "b" and other.gradient.numbers == [0.0, 2.0]
    text = str(explained)
    assert "3. a, b   " in text
    assert "dm/da = [0 4]\n    dm/db = [0 2]\n" in text
    assert "dm/dx = from dm/da, dm/db = [0 4 0 2]" in text
    assert "dm/db = [0 2]" in explained._repr_html_()


def test_explain_names_the_kept_result_among_several():
    class Two(Function):
        @staticmethod
        def forward(ctx, x):
            y, z = x * 1, x * 5
            ctx.save_for_backward(z)
            return y, z

        @staticmethod
        def backward(ctx, a, b):
            return a + b * 5

    x = leaf([2.0])
    p, q = Two.apply(x)
    assert "kept: q = 10" in str(torch.explain(p * q))


def test_the_head_of_an_explanation_is_the_call_meant():
    x = leaf([2.0])
    product, call = str(torch.explain(x * 2)), str(torch.explain(x.exp()))
    assert "The chain rule of (x * 2).backward()" in product
    assert "The chain rule of x.exp().backward()" in call


# anomaly mode


def leaf_hook():
    x = leaf([1.0])
    x.register_hook(lambda g: g * NAN)
    (x * 2).backward()


def result_hook():
    x = leaf([1.0])
    y = x * 1
    y.register_hook(lambda g: g * NAN)
    (y + 1).backward()


def node_hook():
    y = leaf([1.0]) * 1
    y.grad_fn.register_hook(lambda gi, go: (gi[0] * NAN,))
    (y + 1).backward()


def caller():
    leaf([1.0]).backward(double([NAN]))


def sum_on_the_way():
    x = leaf([1.0])
    backward([x, x], [double([1.7e308]), double([1.7e308])])


def sum_in_grad():
    x = leaf([0.0])
    x.grad = Variable(double([NAN]), volatile=True)
    (x * 2).backward()


def sum_in_recorded_grad():
    x = leaf([0.0])
    x.grad = Variable(double([INF]))
    (x * 2).backward()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (leaf_hook, "AccumulateGrad: a hook made .* nan"),
        (result_hook, "MulBackward0: a hook made .* nan"),
        (node_hook, "MulBackward0: a hook of the node made .* operand 1 nan"),
        (caller, "AccumulateGrad: the gradient that arrives .* nan at element 0: it was given"),
        (sum_on_the_way, "AccumulateGrad: the gradient that arrives .* inf"),
        (sum_in_grad, "AccumulateGrad: .grad is nan"),
        (sum_in_recorded_grad, "AccumulateGrad: .grad is inf"),
    ],
)
def test_gradients_that_no_node_made_are_looked_at(body, words):
    body()
    with detect_anomaly(), pytest.raises(RuntimeError, match=words):
        body()


# gradcheck


def test_gradcheck_leaves_its_inputs_where_they_were_when_the_function_fails():
    x = leaf([1.0, 2.0])
    calls = []

    def third(x):
        calls.append(1)
        if len(calls) == 3:
            raise KeyError("third")
        return x * 2

    with pytest.raises(KeyError):
        gradcheck(third, (x,))
    same(x, [1.0, 2.0])


@pytest.mark.parametrize(
    "wrong", [lambda g: Variable(double([1.0])), lambda g: Variable(g.data.float())]
)
def test_gradcheck_without_exceptions_tells_of_a_gradient_that_does_not_fit(wrong):
    class Wrong(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return wrong(g)

    x = leaf([1.0, 2.0])
    assert gradcheck(Wrong.apply, (x,), raise_exception=False) is False
    with pytest.raises(RuntimeError):
        gradcheck(Wrong.apply, (x,))


def test_gradgradcheck_of_what_has_no_gradient_passes():
    assert gradgradcheck(lambda x: x.detach(), (leaf([1.0, 2.0]),))
    assert gradcheck(lambda x: x.detach(), (leaf([1.0, 2.0]),))


# names, warnings, profiles


def test_names_are_found_beside_objects_that_cannot_be_asked():
    class Asked(Exception):
        pass

    class Property:
        @property
        def __dict__(self):
            raise Asked

    class Proxy:
        def __getattribute__(self, name):
            raise Asked

    class Kind:
        @property
        def __class__(self):
            raise Asked

    class Plain:
        pass

    one, two, three, holder = Property(), Proxy(), Kind(), Plain()
    holder.x = leaf([0.0, 1.0])
    result = holder.x.sqrt()
    result.sum().backward()
    with pytest.raises(RuntimeError, match="second time") as error:
        result.sum().backward()
    assert "`result` was computed at" in str(error.value)
    result = holder.x.exp()
    text = str(torch.explain(result, double([1.0, 1.0])))
    assert "d(result)/d(holder.x)" in text or "dresult/dholder.x" in text
    del one, two, three


def test_the_warning_of_retain_variables_names_the_line_that_used_it():
    x = leaf([1.0])
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        (x * 2).backward(retain_variables=True)
    assert [w.filename for w in seen] == [__file__]


def test_a_profile_that_was_never_entered_stops_no_other():
    x = leaf([1.0])
    other = profiler.profile()
    with profiler.profile() as p:
        other.__exit__()
        x * 2
    assert [event.name for event in p.function_events] == ["mul"]
    with profiler.profile() as q:
        p.__exit__()
        x * 3
    assert [event.name for event in q.function_events] == ["mul"]
    assert len(p.function_events) == 1
