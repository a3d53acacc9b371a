"""Drawings of a graph: valid SVG, the names people know, text for terminals."""

import copy
import re
import xml.etree.ElementTree as ET

import pytest

import rgrad
import rgrad as torch
from rgrad.autograd import Variable
from support import leaf, live_nodes, run_python, snapshot

SVG = "{http://www.w3.org/2000/svg}"
PICTURES = ["variables", "functions"]


def tutorial():
    a = Variable(torch.FloatTensor([2]))
    w1, w2 = leaf([3], "FloatTensor"), leaf([5], "FloatTensor")
    b = w1 * a
    c = w2 * b
    loss = 10 - c
    return rgrad.draw(loss), loss, (a, w1, w2, b, c)


def words(svg):
    """Every piece of text in an SVG, after it has been parsed as XML."""
    root = ET.fromstring(svg)
    assert root.tag == SVG + "svg"
    return [t.strip() for t in root.itertext() if t.strip()]


def mentions(text, name):
    return any(re.search(rf"\b{re.escape(name)}\b", t) for t in text)


@pytest.mark.parametrize("kind", PICTURES)
def test_each_picture_is_valid_xml(kind):
    picture = getattr(tutorial()[0], kind)
    root = ET.fromstring(picture._repr_svg_())
    assert root.tag == SVG + "svg"
    assert root.get("viewBox") or (root.get("width") and root.get("height"))


def test_the_whole_drawing_is_valid_xml():
    assert words(tutorial()[0]._repr_svg_())


def test_no_scripts_and_no_addresses():
    text = tutorial()[0]._repr_svg_()
    assert "<script" not in text
    links = [m for m in re.findall(r"https?://[^\"' )]+", text) if "www.w3.org" not in m]
    assert links == []


def test_variables_carry_their_names():
    seen = words(tutorial()[0].variables._repr_svg_())
    for name in ("a", "w1", "w2", "b", "c", "loss"):
        assert mentions(seen, name), name


def test_functions_carry_their_classes():
    seen = words(tutorial()[0].functions._repr_svg_())
    for name in ("AddBackward0", "NegBackward", "MulBackward1", "AccumulateGrad"):
        assert mentions(seen, name), name


@pytest.mark.parametrize("kind", PICTURES)
def test_text_for_a_terminal(kind):
    picture = getattr(tutorial()[0], kind)
    text = str(picture)
    assert "<svg" not in text and len(text.splitlines()) > 3
    expected = ("w1", "w2") if kind == "variables" else ("MulBackward1", "NegBackward")
    for name in expected:
        assert name in text


def test_text_of_both():
    drawing = tutorial()[0]
    text = str(drawing)
    assert str(drawing.variables).strip() in text and str(drawing.functions).strip() in text


@pytest.mark.parametrize("kind", [*PICTURES, "both"])
@pytest.mark.parametrize("as_path", [False, True])
def test_save(tmp_path, kind, as_path):
    drawing = tutorial()[0]
    picture = drawing if kind == "both" else getattr(drawing, kind)
    path = tmp_path / "graph.svg"
    picture.save(path if as_path else str(path))
    assert path.read_text(encoding="utf-8") == picture._repr_svg_()


def test_save_into_a_missing_folder(tmp_path):
    with pytest.raises(OSError):
        tutorial()[0].save(str(tmp_path / "missing" / "graph.svg"))


def test_names_given_by_the_caller():
    x = Variable(torch.FloatTensor([1]), requires_grad=True, name="weights")
    assert x.name == "weights"
    seen = words(rgrad.draw(x * 2).variables._repr_svg_())
    assert mentions(seen, "weights")


def test_names_are_escaped():
    x = Variable(torch.FloatTensor([1]), requires_grad=True, name='<&"] ]>')
    picture = rgrad.draw(x * 2)
    assert any('<&"] ]>' in t for t in words(picture.variables._repr_svg_()))


def test_drawing_changes_nothing():
    x = leaf([1.0, 2.0])
    y = (x * x).sum()
    before = snapshot(x, y)
    rgrad.draw(y)._repr_svg_()
    assert snapshot(x, y) == before
    y.backward()
    assert x.grad.data.tolist() == [2, 4]
    rgrad.draw(y)._repr_svg_()  # a freed graph can still be seen


def test_a_drawing_does_not_keep_the_graph():
    nodes = live_nodes()
    drawing = tutorial()[0]
    assert live_nodes() == nodes
    assert drawing._repr_svg_()


def test_the_same_graph_gives_the_same_bytes():
    first, second = tutorial()[0], tutorial()[0]
    assert first._repr_svg_() == second._repr_svg_()
    assert str(first) == str(second)
    assert copy.copy(first)._repr_svg_() == first._repr_svg_()


@pytest.mark.parametrize("make", [lambda: leaf([1.0]), lambda: Variable(torch.ones(1))])
def test_a_lone_variable(make):
    assert words(rgrad.draw(make())._repr_svg_())


@pytest.mark.parametrize("thing", [3, "x", None, [1]])
def test_only_variables_are_drawn(thing):
    with pytest.raises(TypeError, match="Variable"):
        rgrad.draw(thing)


def test_a_raw_tensor_is_refused():
    with pytest.raises(TypeError, match="Variable"):
        rgrad.draw(torch.ones(1))


def test_shared_inputs_appear_once():
    x = leaf([1.0])
    y = x * x + x
    text = rgrad.draw(y).functions._repr_svg_()
    root = ET.fromstring(text)
    boxes = [g for g in root.iter(SVG + "g") if g.get("data-box")]
    assert len(boxes) == 3  # AddBackward1, MulBackward1, AccumulateGrad


def test_a_long_chain_is_drawn_without_recursion():
    run_python(
        """
        import threading
        import rgrad as torch
        from rgrad.autograd import Variable

        def work():
            y = Variable(torch.ones(1), requires_grad=True)
            for _ in range(1000):
                y = y + 1
            drawing = torch.draw(y)
            assert drawing._repr_svg_().startswith("<svg") or "<svg" in drawing._repr_svg_()
            str(drawing)
            done.append(True)

        done = []
        threading.stack_size(256 * 1024)
        t = threading.Thread(target=work)
        t.start()
        t.join()
        assert done
        """,
        timeout=300,
    )
