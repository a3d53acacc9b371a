"""Stubs: they exist, they parse, and they know the names that the module has."""

import ast
from importlib.resources import files

import pytest

import rgrad

PACKAGE = files("rgrad")


def test_py_typed():
    assert (PACKAGE / "py.typed").is_file()


@pytest.fixture(scope="module")
def stub():
    return ast.parse((PACKAGE / "_C.pyi").read_text(encoding="utf-8"))


def members(tree, name):
    """Names in the body of class `name`, and of the bases that the stub itself defines."""
    classes = {n.name: n for n in tree.body if isinstance(n, ast.ClassDef)}
    found, queue = set(), [name]
    while queue:
        node = classes.get(queue.pop())
        if node is None:
            continue
        found |= {n.name for n in node.body if isinstance(n, ast.FunctionDef)}
        found |= {n.target.id for n in node.body if isinstance(n, ast.AnnAssign)}
        queue += [b.id for b in node.bases if isinstance(b, ast.Name)]
    return found


def top_level(tree):
    found = set()
    for n in tree.body:
        if isinstance(n, ast.FunctionDef | ast.ClassDef):
            found.add(n.name)
        elif isinstance(n, ast.AnnAssign):
            found.add(n.target.id)
        elif isinstance(n, ast.Assign):
            found |= {t.id for t in n.targets}
        elif isinstance(n, ast.ImportFrom | ast.Import):
            found |= {a.asname or a.name for a in n.names}
    return found


def test_stub_names_exist(stub):
    missing = {n for n in top_level(stub) if n[0] != "_" and not hasattr(rgrad._C, n)}
    # What stands only for a checker: type variables, protocols, imports of typing.
    helpers = {n.asname or n.name for i in stub.body if hasattr(i, "names") for n in i.names}
    assert missing <= helpers | {
        t.id
        for n in stub.body
        if isinstance(n, ast.Assign | ast.AnnAssign)
        for t in (n.targets if isinstance(n, ast.Assign) else [n.target])
    }


def test_the_module_is_in_the_stub(stub):
    public = {n for n in dir(rgrad._C) if n[0] != "_"}
    assert public - top_level(stub) == set()


@pytest.mark.parametrize("name", ["FloatTensor", "LongTensor", "Variable"])
@pytest.mark.parametrize("method", ["add", "add_", "mul", "sum", "view", "size", "t"])
def test_methods_are_in_the_stub(stub, name, method):
    declared = set()
    for n in stub.body:
        if isinstance(n, ast.ClassDef):
            declared |= {m.name for m in n.body if isinstance(m, ast.FunctionDef)}
    assert method in declared
    assert hasattr(getattr(rgrad, name, None) or rgrad.autograd.Variable, method)


@pytest.mark.parametrize("name", ["FloatTensor", "LongTensor"])
def test_no_method_of_a_class_is_forgotten(stub, name):
    have = {m for m in dir(getattr(rgrad, name)) if m[0] != "_"}
    declared = set()
    for n in stub.body:
        if isinstance(n, ast.ClassDef):
            declared |= members(stub, n.name)
    assert have - declared == set()
