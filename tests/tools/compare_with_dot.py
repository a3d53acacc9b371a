"""Compares our drawings with those of Graphviz dot: crossings and the length of all arrows.

    python tests/tools/compare_with_dot.py [folder of SVG files]

Reads the boxes and arrows from SVG files that rgrad wrote (by default the golden ones), has dot
lay out the same boxes with the same least distances, and prints both figures for each file. Fails
where ours are more than 1.2 times dot's (and, for crossings, more than 2 above). Needs pygraphviz;
says so and stops where it is missing. Arrows from a box to itself are not counted.
"""

import itertools
import pathlib
import re
import sys
import xml.etree.ElementTree as ET

try:
    import pygraphviz
except ImportError:
    print("skipped: pygraphviz is not installed")
    raise SystemExit(0) from None

SVG = "{http://www.w3.org/2000/svg}"
LIMIT = 1.2


def bezier(a, b, c, d, steps=16):
    for i in range(1, steps + 1):
        t = i / steps
        u = 1 - t
        k = (u * u * u, 3 * u * u * t, 3 * u * t * t, t * t * t)
        yield tuple(
            sum(w * p[axis] for w, p in zip(k, (a, b, c, d), strict=False)) for axis in (0, 1)
        )


def flatten(path):
    """The points of a path of ours: M, L and C with absolute numbers."""
    points = []
    for letter, rest in re.findall(r"([MLC])([^MLC]*)", path):
        n = [float(x) for x in rest.split()]
        pairs = list(zip(n[::2], n[1::2], strict=False))
        if letter == "C":
            points.extend(bezier(points[-1], *pairs))
        else:
            points.extend(pairs)
    return points


def read(file):
    """Boxes as (x, y, width, height) by number, and arrows as (from, to, points)."""
    root = ET.parse(file).getroot()
    boxes, arrows = {}, []
    for group in root.iter(f"{SVG}g"):
        if "data-box" in group.attrib:
            rect = group.find(f"{SVG}rect")
            boxes[int(group.get("data-box"))] = tuple(
                float(rect.get(k)) for k in ("x", "y", "width", "height")
            )
        elif "data-from" in group.attrib:
            ends = int(group.get("data-from")), int(group.get("data-to"))
            if ends[0] != ends[1]:
                line, head = group.findall(f"{SVG}path")
                tip = flatten(head.get("d").rstrip("Z"))[0]
                points = flatten(line.get("d"))
                nearer_end = abs(points[-1][1] - tip[1]) + abs(points[-1][0] - tip[0]) < 12
                arrows.append((*ends, [*points, tip] if nearer_end else [tip, *points]))
    return boxes, arrows


def dot(boxes, arrows, right):
    """The points of every arrow in dot's layout."""
    graph = pygraphviz.AGraph(strict=False, directed=True)
    graph.graph_attr.update(nodesep=26 / 72, ranksep=34 / 72, rankdir="LR" if right else "TB")
    for number, (_, _, width, height) in boxes.items():
        graph.add_node(
            number, shape="box", fixedsize="true", width=width / 72, height=height / 72, label=""
        )
    for i, (a, b, _) in enumerate(arrows):
        graph.add_edge(a, b, key=str(i))
    graph.layout("dot")
    lines = []
    for i, (a, b, _) in enumerate(arrows):
        parts = graph.get_edge(a, b, key=str(i)).attr["pos"].split()
        tip = [tuple(map(float, p[2:].split(","))) for p in parts if p.startswith("e,")]
        at = [tuple(map(float, p.split(","))) for p in parts if p[0] not in "es"]
        points = at[:1]
        for k in range(1, len(at) - 2, 3):
            points.extend(bezier(points[-1], *at[k : k + 3]))
        lines.append((a, b, points + tip))
    return lines


def length(points):
    return sum(
        ((x - u) ** 2 + (y - v) ** 2) ** 0.5 for (x, y), (u, v) in itertools.pairwise(points)
    )


def side(p, q, r):
    return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])


def meet(a, b):
    """Whether two lines cross, anywhere but near a common box."""
    for p, q in itertools.pairwise(a):
        low, high = min(p[0], q[0]), max(p[0], q[0])
        top, bottom = min(p[1], q[1]), max(p[1], q[1])
        for r, s in itertools.pairwise(b):
            if (
                max(r[0], s[0]) < low
                or min(r[0], s[0]) > high
                or max(r[1], s[1]) < top
                or min(r[1], s[1]) > bottom
            ):
                continue
            if side(p, q, r) * side(p, q, s) < 0 and side(r, s, p) * side(r, s, q) < 0:
                return True
    return False


def crossings(lines):
    found = 0
    for i, (a, b, one) in enumerate(lines):
        for c, d, two in lines[i + 1 :]:
            # Lines that share a box may touch at its border.
            near = 4 if {a, b} & {c, d} else 0
            found += meet(
                one[near // 2 : len(one) - near // 2], two[near // 2 : len(two) - near // 2]
            )
    return found


def main():
    here = pathlib.Path(__file__).resolve().parent.parent / "golden" / "draw"
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here
    bad = 0
    total = [0, 0, 0.0, 0.0]
    print(f"{'picture':24} {'crossings':>10} {'dot':>5} {'length':>9} {'dot':>9} {'ratio':>6}")
    for file in sorted(folder.glob("*.svg")):
        boxes, arrows = read(file)
        if not arrows or len(arrows) > 400:
            continue
        theirs = dot(boxes, arrows, "right" in file.stem or "neurons" in file.stem)
        ours = crossings(arrows), crossings(theirs)
        lengths = sum(length(p) for _, _, p in arrows), sum(length(p) for _, _, p in theirs)
        ratio = lengths[0] / lengths[1]
        worse = ratio > LIMIT or ours[0] > max(LIMIT * ours[1], ours[1] + 2)
        bad += worse
        total = [
            total[0] + ours[0],
            total[1] + ours[1],
            total[2] + lengths[0],
            total[3] + lengths[1],
        ]
        mark = "  WORSE" if worse else ""
        print(
            f"{file.stem:24} {ours[0]:10} {ours[1]:5} "
            f"{lengths[0]:9.0f} {lengths[1]:9.0f} {ratio:6.2f}{mark}"
        )
    ratio = total[2] / total[3] if total[3] else 1.0
    print(f"{'all':24} {total[0]:10} {total[1]:5} {total[2]:9.0f} {total[3]:9.0f} {ratio:6.2f}")
    raise SystemExit(1 if bad else 0)


if __name__ == "__main__":
    main()
