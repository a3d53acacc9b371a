"""What the program's globals hold is let go of when it ends, also if the graph leads back there."""

import pytest

from support import run_program

START = """
import os, sys
import rgrad as torch
from rgrad.autograd import Function, Variable

class Loud:
    def __del__(self):
        sys.stdout.write("gone\\n")

class Square(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        x, = ctx.saved_variables
        return g * 2 * x

log = open(os.environ["LOG"], "w")
loud = Loud()
x = Variable(torch.ones(1), requires_grad=True)
"""

ENDINGS = {
    "a Function's result": "loss = Square.apply(x)",
    "a hook on a leaf": "x.register_hook(lambda g: g)\nloss = x * x",
    "a hook on a result": "loss = x * x\nloss.register_hook(lambda g: g)",
    "a hook on a node": "loss = x * x\nloss.grad_fn.register_hook(lambda *g: None)",
    "a gradient with history": "loss = x * x\nloss.backward(create_graph=True)",
    "nothing of that": "loss = x * x",
}


@pytest.mark.parametrize("name", ENDINGS)
def test_files_are_written_and_destructors_run(name, tmp_path):
    out = tmp_path / "log.txt"
    program = START + ENDINGS[name] + "\nlog.write(str(loss.data[0]))\n"
    run = run_program(program, timeout=60, LOG=str(out))
    assert (run.returncode, run.stderr) == (0, "")
    assert out.read_text() == "1.0"
    assert run.stdout == "gone\n"
