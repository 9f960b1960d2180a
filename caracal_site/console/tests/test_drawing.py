"""Small graphs are laid out in rows, without a browser's help."""

from __future__ import annotations

from caracal_site.console.drawing import Arrow, Node, clipped, layered


def node(key: str) -> Node:
    return Node(key=key, title=key)


def test_rows_are_centred_and_do_not_overlap() -> None:
    drawing = layered("x", [[node("a")], [node("b"), node("c"), node("d")]], [])
    boxes = {box.node.key: box for box in drawing.boxes}
    assert boxes["a"].middle == boxes["c"].middle
    assert boxes["b"].x + drawing.box_width < boxes["c"].x
    assert boxes["a"].bottom < boxes["b"].y
    assert boxes["d"].x + drawing.box_width <= drawing.width
    assert boxes["d"].bottom <= drawing.height


def test_arrows_to_what_is_not_drawn_are_left_out() -> None:
    arrows = [Arrow(source="a", target="b"), Arrow(source="a", target="hidden")]
    drawing = layered("x", [[node("a")], [node("b")]], arrows)
    assert [line.arrow.target for line in drawing.lines] == ["b"]


def test_an_empty_row_takes_no_room() -> None:
    one = layered("x", [[node("a")]], [])
    assert layered("x", [[], [node("a")], []], []).height == one.height


def test_long_text_is_clipped() -> None:
    assert clipped("x" * 5, 5) == "xxxxx"
    assert clipped("x" * 6, 5) == "xxxx\N{HORIZONTAL ELLIPSIS}"
