"""The package itself: what importing costs, `python -m rgrad`, names and types."""

import os
import re
import subprocess
import sys

import pytest

import rgrad
import rgrad as torch
from support import run_python


def test_import_loads_no_numpy_and_no_gpu():
    out = run_python(
        """
        import sys
        before = set(sys.modules)
        import rgrad
        from rgrad.autograd import Variable
        heavy = {"numpy", "wgpu", "torch", "matplotlib"}
        print(sorted(m for m in set(sys.modules) - before if m.split(".")[0] in heavy))
        """
    )
    assert out.strip() == "[]"


def test_numpy_comes_with_its_first_use():
    out = run_python(
        """
        import sys
        import rgrad as torch
        t = torch.ones(2, 2)
        str(t), t.tolist(), t.mm(t), torch.rand(3)
        print("numpy" in sys.modules)
        t.numpy()
        print("numpy" in sys.modules)
        """
    )
    assert out.split() == ["False", "True"]


def test_the_names_of_the_tutorial():
    run_python(
        """
        import rgrad as torch
        from rgrad.autograd import Variable
        import rgrad.nn.functional, rgrad.cuda
        t = torch.LongTensor([[2, 4], [5, 6]])
        r = torch.randn((4, 3))
        v = Variable(r, requires_grad=True)
        v.sum().backward()
        assert v.grad is not None
        """
    )


def test_version():
    """Programs switch on the version of the API (U-1): `< "0.2"` means another one."""
    assert rgrad.__version__ == "0.3.1"
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", rgrad._C._version)


def report(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", "rgrad", *arguments], capture_output=True, text=True, timeout=120
    )
    return done.returncode, done.stdout, done.stderr


def test_report():
    code, out, err = report()
    assert code == 0 and err == ""
    assert rgrad._C._version in out
    text = out.lower()
    for word in ("processor", "thread", "adapter"):
        assert word in text, word
    assert re.search(r"\d+ threads?|threads?\W+\d+", text)


def test_help():
    code, out, _ = report("--help")
    assert code == 0
    assert "rgrad" in out and "usage" in out.lower()


def test_unknown_arguments():
    code, out, err = report("--nonsense")
    assert code == 2 and "nonsense" in err and out == ""


def test_report_without_a_gpu():
    done = subprocess.run(
        [sys.executable, "-c", "import runpy; runpy.run_module('rgrad', run_name='__main__')"],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "RGRAD_GPU": "off"},
    )
    assert done.returncode == 0, done.stderr


def test_threads():
    n = torch.get_num_threads()
    assert n >= 1
    try:
        torch.set_num_threads(1)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(n)


@pytest.mark.parametrize("bad", [0, -1, 1.5, "2"])
def test_thread_counts_are_checked(bad):
    n = torch.get_num_threads()
    with pytest.raises((RuntimeError, TypeError, ValueError, OverflowError)):
        torch.set_num_threads(bad)
    assert torch.get_num_threads() == n


def test_methods_have_documentation():
    for thing in (torch.add, torch.mm, torch.FloatTensor.add, torch.autograd.Variable.backward):
        assert thing.__doc__ and len(thing.__doc__) > 20
    assert "Hyperbolic" in (torch.tanh.__doc__ + torch.FloatTensor.tanh.__doc__)
