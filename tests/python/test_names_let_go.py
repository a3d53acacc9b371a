"""Looking for the names of Variables keeps none of them alive."""

import contextlib
import gc
import sys
import weakref

import pytest

import rgrad as torch
from support import leaf, live_nodes


def failing(y):
    with contextlib.suppress(RuntimeError):
        y.backward()  # not one element


def explaining(y):
    torch.explain(y.sum())


def drawing(y):
    torch.draw(y.sum())


@pytest.mark.parametrize("look", [failing, explaining, drawing])
def test_the_callers_variables_can_die(look):
    before = live_nodes()
    y = leaf([1.0, 2.0]) * 2
    list_of_them = [y * 3]
    watched = weakref.ref(y)
    look(y)
    del y, list_of_them
    gc.collect()
    assert watched() is None
    assert live_nodes() == before


def test_what_the_user_asked_for_of_a_frame_stays():
    kept = leaf([1.0, 2.0]) * 2
    asked = locals()
    failing(kept)
    assert asked["kept"] is kept
    assert sys._getframe().f_locals["kept"] is kept
    inner = 3

    def closure():
        failing(kept)
        return inner, sys._getframe().f_back.f_locals["inner"]

    assert closure() == (3, 3)
