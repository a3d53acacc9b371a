"""Views, `.data` and no_grad: a gradient is right, or there is an error."""

import gc

import pytest

import rgrad as torch
from rgrad.autograd import Variable, live_nodes

D = torch.DoubleTensor


def leaf(*values):
    return Variable(D(list(values)), requires_grad=True)


# no_grad.


def test_a_view_made_without_recording_writes_with_it():
    """A-126, A-137: the base has a gradient, whatever the view has."""
    x = leaf(1, 2, 3)
    y = x * 1
    with torch.no_grad():
        v = y.narrow(0, 0, 1)
    v.mul_(2)
    y.sum().backward()
    assert x.grad.data.tolist() == [2, 1, 1]


def test_a_view_made_without_recording_takes_a_number_with_it():
    """A-48, A-126."""
    x = leaf(1, 2, 3)
    y = x * 1
    with torch.no_grad():
        v = y.narrow(0, 0, 1)
    v[0] = 5
    y.sum().backward()
    assert x.grad.data.tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    "change",
    [
        lambda w: w.__setitem__(0, 7),
        lambda w: w.narrow(0, 0, 1).fill_(7),
        lambda w: w[:1].copy_(Variable(D([7]))),
        lambda w: w[torch.LongTensor([0])].size() and w.__setitem__(torch.LongTensor([0]), 7),
    ],
)
def test_a_part_of_a_leaf_may_change_without_recording(change):
    """A-137: in-place on requiring leaves is allowed there."""
    w = leaf(1, 2, 3)
    with torch.no_grad():
        change(w)
    (w * w).sum().backward()
    assert w.grad.data.tolist() == [14, 4, 6]


def test_an_old_view_of_a_leaf_may_change_it_without_recording():
    """A-137: the view was made while operations were recorded."""
    w = leaf(1, 2, 3)
    v = w[:2]
    with torch.no_grad():
        v.mul_(2)
    (v * 3).sum().backward()
    assert w.grad.data.tolist() == [3, 3, 0]


def test_changes_without_recording_do_not_excuse_those_before():
    """A-45: a leaf that was changed while operations were recorded stays refused."""
    v = Variable(D([1, 2]))
    v[0] = 3
    v.requires_grad = True
    with torch.no_grad():
        v.mul_(2)
    with pytest.raises(RuntimeError, match="in-?place operation"):
        (v * 2).sum().backward()


def test_a_view_made_without_recording_outlives_changes_without_it():
    """A-128, A-137: nothing that requires grad changed its base."""
    w = leaf(1, 2, 3)
    with torch.no_grad():
        v = w.narrow(0, 0, 1)
    with torch.no_grad():
        w.mul_(2)
    assert (v * 2).data.tolist() == [4]
    assert not (v * 2).requires_grad


def test_a_stale_view_looked_at_without_recording_keeps_its_history():
    """A-127: who looks at it does not matter."""
    x = leaf(1, 2, 3)
    y = x * 1
    v = y.narrow(0, 0, 2)
    y.mul_(3)
    with torch.no_grad():
        assert not v.sum().requires_grad
        assert v.grad_fn is not None
    (v * 2 + y.narrow(0, 0, 2)).sum().backward()
    assert x.grad.data.tolist() == [9, 9, 0]


def test_a_stale_view_looked_at_in_a_hook_keeps_its_history():
    """A-127: hooks of a plain backward do not record."""
    x = leaf(1, 2, 3)
    y = x * 1
    v = y.narrow(0, 0, 2)
    y.mul_(3)
    z = leaf(1)
    z.register_hook(lambda g: (v.grad_fn, None)[1])
    (z * 2).backward()
    v.mul_(2)
    y.sum().backward()
    assert x.grad.data.tolist() == [6, 6, 3]


def test_errors_of_old_views_name_the_base_and_what_happened_to_it():
    """A-128, E-31."""
    w = leaf(2, 2)
    base = Variable(D([1, 1]))
    view = base[:1]
    base.mul_(w)
    with pytest.raises(RuntimeError, match="(?s)by something that requires grad.*`base`.*changed"):
        view * 2
    vol = Variable(D([1, 1]), volatile=True)
    old = vol[:1]
    vol.mul_(2)
    old.volatile = False
    with pytest.raises(RuntimeError, match="(?s)became volatile, which the view is not.*`vol`"):
        old * leaf(1)


def test_a_view_of_something_volatile_stays_so():
    """A-30: no history is looked for."""
    vol = Variable(D([1, 1]), volatile=True)
    view = vol[:1]
    vol.mul_(2)
    assert (view * leaf(3)).volatile


# .data of views and of what they show.


def test_a_view_with_data_of_its_own_is_none():
    """A-126: what it writes is no part of the base any more."""
    x = leaf(1, 1, 1, 1)
    b = x * 1
    v = b[2:4]
    v.data = v.data.clone()
    assert v._base is None
    v.mul_(5)
    assert b.data.tolist() == [1, 1, 1, 1]
    b.sum().backward(retain_graph=True)
    assert x.grad.data.tolist() == [1, 1, 1, 1]
    x.grad = None
    v.sum().backward()
    assert x.grad.data.tolist() == [0, 0, 5, 5]


def test_views_of_replaced_data_keep_their_own_history():
    """A-126: what they write is no part of the base any more."""
    x = leaf(1, 1, 1, 1)
    b = x * 1
    v = b[2:4]
    b.data = b.data.clone()
    b.mul_(3)
    v.mul_(2)
    assert v.data.tolist() == [2, 2]
    v.sum().backward(retain_graph=True)
    assert x.grad.data.tolist() == [0, 0, 2, 2]
    x.grad = None
    b.sum().backward()
    assert x.grad.data.tolist() == [3, 3, 3, 3]


def test_data_of_another_size_under_a_view():
    """A-43: the view goes on with the memory that it has."""
    x = leaf(1, 1, 1, 1)
    b = x * 1
    v = b[2:4]
    b.data = D([1, 1])
    v.mul_(2)
    v.sum().backward()
    assert x.grad.data.tolist() == [0, 0, 2, 2]


def test_a_view_that_missed_a_change_before_the_data_was_replaced_is_refused():
    """A-127: its history cannot be made from a base that shows other memory."""
    x = leaf(1, 1, 1, 1)
    b = x * 1
    v = b[2:4]
    b.mul_(3)
    b.data = b.data.clone()
    with pytest.raises(RuntimeError, match=r"\.data of that was replaced.*make the view again"):
        v * 2


def test_data_of_a_view_replaced_after_a_change_keeps_the_change():
    """A-127: the history is made anew before the view goes its own way."""
    x = leaf(1, 1, 1, 1)
    b = x * 1
    v = b[2:4]
    b.mul_(3)
    v.data = v.data.clone()
    v.sum().backward()
    assert x.grad.data.tolist() == [0, 0, 3, 3]


def test_data_put_back_leaves_a_view_what_it_is():
    """A-43, A-126: the same memory."""
    x = leaf(1, 1, 1, 1)
    b = x * 1
    v = b[2:4]
    v.data = v.data  # noqa: PLW0127
    b.data = b.data  # noqa: PLW0127
    v.mul_(5)
    b.sum().backward()
    assert x.grad.data.tolist() == [1, 1, 5, 5]


# Elements that several places show.


def test_as_strided_of_windows_counts_an_element_once():
    """A-126: the gradient of what is shown twice is not doubled."""
    x = leaf(1, 2, 3)
    y = x * 1
    y.unfold(0, 2, 1).as_strided((2,), (1,)).sum().backward()
    assert x.grad.data.tolist() == [1, 1, 0]
    x = leaf(5)
    x.expand(3).as_strided((1,), (1,)).sum().backward()
    assert x.grad.data.tolist() == [1]


def test_as_strided_of_windows_has_a_second_gradient():
    """As above, through the gradient's own graph."""
    x = leaf(1, 2, 3)
    part = (x * 1).unfold(0, 2, 1).as_strided((2, 2), (1, 1))
    (g,) = torch.autograd.grad((part * part * part).sum(), x, create_graph=True)
    assert g.data.tolist() == [3, 24, 27]
    (h,) = torch.autograd.grad(g.sum(), x)
    assert h.data.tolist() == [6, 24, 18]


def test_writes_with_gradients_into_parts_of_expanded_memory_are_refused():
    """A-132: other elements of the base change as well, without the graph knowing."""
    w = leaf(2)
    b = Variable(D([1]).expand(3))
    with pytest.raises(RuntimeError, match="part of a Variable whose elements share memory"):
        b.narrow(0, 0, 1).mul_(w)
    windows = Variable(D([1, 2, 3]).unfold(0, 2, 1))
    with pytest.raises(RuntimeError, match="part of a Variable whose elements share memory"):
        windows[0].mul_(w.expand(2))
    assert b.data.tolist() == [1, 1, 1]
    assert windows.data.tolist() == [[1, 2], [2, 3]]
    b.narrow(0, 0, 1).fill_(4)
    assert b.data.tolist() == [4, 4, 4]


# retain_grad and rings.


def test_retain_grad_again_after_a_change_in_place():
    """A-86, A-107: what it is now, and no longer what it was."""
    x = leaf(1, 2)
    y = x * 1
    y.retain_grad()
    y.mul_(2)
    y.retain_grad()
    (y * 3).sum().backward()
    assert y.grad.data.tolist() == [3, 3]


def test_retain_grad_of_a_view_whose_base_changed():
    """A-86, A-127."""
    x = leaf(1, 2)
    y = x * 1
    v = y[:1]
    v.retain_grad()
    y.mul_(2)
    v.retain_grad()
    v.sum().backward()
    assert v.grad.data.tolist() == [1]


def test_retain_grad_twice_counts_once():
    """A-86."""
    x = leaf(1, 2)
    y = x * 1
    y.retain_grad()
    y.retain_grad()
    (y * 3).sum().backward()
    assert y.grad.data.tolist() == [3, 3]


def test_a_gradient_with_history_that_the_user_sets_is_collected():
    """A-109: the ring from a leaf over its .grad back to the leaf."""
    gc.collect()
    before = live_nodes()
    x = leaf(1, 2)
    x.grad = leaf(1, 1) * x
    del x
    gc.collect()
    assert live_nodes() == before


@pytest.mark.parametrize("leaves", [1, 2, 40])
def test_rings_beside_a_long_chain_with_many_held_results_are_collected(leaves):
    """A-109: a hook on a leaf and the states of a long recurrence in a list are quite ordinary."""
    hooked = [leaf(1) for _ in range(leaves)]
    for w in hooked:
        w.register_hook(lambda g: None)
    held, y = [], leaf(1)
    for i in range(20_000):
        y = y * hooked[i % leaves]
        if i % 10 == 0:
            held.append(y)
    gc.collect()
    before = live_nodes()
    for _ in range(100):
        w = leaf(1)
        z = w * 2
        z.register_hook(lambda g, z=z: None)
        del w, z
    gc.collect()
    assert live_nodes() == before
    y.sum().backward()
    assert hooked[0].grad is not None
