"""Cards: what stands on the page, and that nothing on it can do harm."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from eventflow.cards import Artifact, Image, Markdown, Table
from eventflow.cards.board import CardBoard
from eventflow.cards.components import Component
from eventflow.cards.page import Made, Report, page
from eventflow.cards.preview import preview
from eventflow.errors import CardMissing
from eventflow.model.task import TaskKey
from eventflow.store.layout import RunPlace, card_id_of_key

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
EVIL = "<script>alert(1)</script>"
BEGAN = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)


class _Tags(HTMLParser):
    """The tags of a page, and what it would load."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.loads: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.loads += [value or "" for name, value in attrs if name in {"src", "srcset", "data"}]
        self.loads += [value or "" for name, value in attrs if tag == "link" and name == "href"]


class Rude:
    """A class whose code nobody should run."""

    def __repr__(self) -> str:
        raise AssertionError("a preview asked it for its repr")

    __str__ = __repr__


def report(*artifacts: Made, reason: str = "", traceback: str = "") -> Report:
    """A task that took a second and a half."""
    return Report(
        pathspec=f"F/r1/start/0{EVIL}",
        namespace="shop/prod",
        attempt=1,
        started_at=BEGAN,
        finished_at=BEGAN + timedelta(seconds=1.5),
        parameters={"who": EVIL, "rows": 3},
        artifacts=artifacts,
        reason=reason,
        traceback=traceback,
    )


class TestPreview:
    @pytest.mark.parametrize(
        ("value", "shown"),
        [
            (None, "<code>None</code>"),
            (1.5, "<code>1.5</code>"),
            ("a < b", "<pre>a &lt; b</pre>"),
            (b"123", "3 bytes"),
            ([1, "<b>"], "<code>[1, &#x27;&lt;b&gt;&#x27;]</code> (2 items)"),
            ({"a": Rude()}, "<code>{&#x27;a&#x27;: &lt;Rude&gt;}</code> (1 items)"),
            (Rude(), ""),
        ],
    )
    def test_is_short_and_safe(self, value: object, shown: str) -> None:
        assert preview(value) == shown

    def test_of_long_values_is_cut(self) -> None:
        assert len(preview("x" * 10**6)) < 1100
        assert "1,000,000 characters" in preview("x" * 10**6)
        assert len(preview(list(range(10**6)))) < 200
        assert len(preview(10**5000)) < 200

    @pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table])
    def test_of_a_data_frame_is_its_head(self, make: type) -> None:
        frame = make({"name": ["a<b"] * 25, "n": list(range(25))})

        shown = preview(frame, 2)

        assert "<th>name</th><th>n</th>" in shown
        assert "<tr><td>a&lt;b</td><td>0</td></tr><tr><td>a&lt;b</td><td>1</td></tr>" in shown
        assert "2 of 25 rows" in shown
        assert "<td>2</td>" not in shown

    def test_of_a_frame_of_objects_runs_none_of_their_code(self) -> None:
        assert "&lt;Rude&gt;" in preview(pd.DataFrame({"a": [Rude()]}))

    def test_of_an_array_is_its_shape_and_beginning(self) -> None:
        shown = preview(np.zeros((100, 3)))

        assert "100 by 3 of float64" in shown
        assert len(shown) < 200

    def test_of_a_png_is_the_image(self) -> None:
        assert preview(PNG).startswith('<img alt="" src="data:image/png;base64,iVBOR')
        assert "left out" in preview(PNG + b"0" * 5 * 2**20)


class TestComponents:
    def test_markdown_is_rendered_and_its_html_is_not(self) -> None:
        html = Markdown(f"# Title\n\n**bold** {EVIL}\n\n|a|\n|-|\n|1|\n").html()

        assert "<h1>Title</h1>" in html
        assert "<strong>bold</strong>" in html
        assert "<td>1</td>" in html
        assert EVIL not in html

    def test_markdown_loads_no_images_and_has_no_links_to_code(self) -> None:
        html = Markdown("![x](https://example.org/x.png) [y](javascript:alert(1))").html()

        assert _Tags(html).loads == []
        assert 'href="javascript' not in html

    def test_a_table_has_rows_and_headers_and_components_in_cells(self) -> None:
        html = Table([[EVIL, Image(PNG)], [1, None]], headers=["a", "b"]).html()

        assert "<th>a</th><th>b</th>" in html
        assert EVIL not in html
        assert "<img" in html

    def test_a_table_of_a_data_frame_has_all_rows(self) -> None:
        html = Table.from_dataframe(pd.DataFrame({"n": range(30)})).html()

        assert "<td>29</td>" in html

    def test_an_image_is_a_png(self) -> None:
        with pytest.raises(TypeError, match="bytes of a PNG file"):
            Image(b"GIF89a")

        assert f"<figcaption>{'&lt;x&gt;'}</figcaption>" in Image(PNG, "<x>").html()

    def test_an_artifact_has_a_name_and_a_value(self) -> None:
        assert Artifact([1], "rows").html() == ("<div><b>rows</b> <code>[1]</code> (1 items)</div>")
        assert "&lt;Rude&gt;" in Artifact(Rude()).html()


class TestPage:
    def test_has_what_there_is_to_say_of_a_task(self) -> None:
        made = Made("rows", "list", 12, has_value=True, value=[1, 2])

        html = page(report(made, Made("old", "dict", 99)), [Markdown("*mine*")], is_blank=False)

        for each in ("shop/prod", "1.500 s", "succeeded", "<em>mine</em>", "[1, 2]", "99"):
            assert each in html

    def test_of_a_failure_says_why(self) -> None:
        html = page(
            report(reason="ValueError: no", traceback=f"Traceback {EVIL}"), [], is_blank=False
        )

        assert "failed: ValueError: no" in html
        assert "Traceback &lt;script&gt;" in html

    def test_loads_nothing_and_runs_nothing(self) -> None:
        made = Made(EVIL, EVIL, 1, has_value=True, value={EVIL: EVIL})
        parts: list[Component] = [
            Markdown(EVIL),
            Table([[EVIL]], [EVIL]),
            Artifact(EVIL, EVIL),
            Image(PNG, EVIL),
        ]

        seen = _Tags(page(report(made), parts, is_blank=False))

        assert "script" not in seen.tags
        assert all(each.startswith("data:image/png;base64,") for each in seen.loads)

    def test_that_is_blank_has_only_what_was_appended(self) -> None:
        html = page(report(Made("rows", "list", 12)), [Markdown("*mine*")], is_blank=True)

        assert "<em>mine</em>" in html
        assert "shop/prod" not in html
        assert "rows" not in html

    def test_a_part_that_cannot_be_shown_leaves_the_others(self) -> None:
        parts: list[Component] = [Table([1]), Markdown("*mine*")]

        html = page(report(), parts, is_blank=False)

        assert "Table cannot be shown: TypeError" in html
        assert "<em>mine</em>" in html


class TestBoard:
    def test_the_card_without_an_id_is_the_board_itself(self) -> None:
        board = CardBoard([None, "more"])

        board.append(Markdown("a"))
        board["more"].extend([1, Markdown("b")])

        assert board.of(None).parts == [Markdown("a")]
        assert board["more"].parts == [Artifact(1), Markdown("b")]

    def test_without_such_a_card_it_is_the_first(self) -> None:
        board = CardBoard(["one", "two"])

        board.append(Markdown("a"))

        assert board["one"].parts == [Markdown("a")]
        assert board["two"].parts == []

    def test_a_card_can_be_begun_anew(self) -> None:
        board = CardBoard([None])
        board.append(1)

        board.clear()

        assert board.parts == []

    def test_a_card_that_there_is_not_is_said(self) -> None:
        with pytest.raises(CardMissing, match=r"write @card\(id='x'\)"):
            CardBoard([None])["x"]


@pytest.mark.parametrize("card_id", [None, "a_b"])
def test_the_key_of_a_card_has_its_id(card_id: str | None) -> None:
    place, key = RunPlace("shop/prod", "F", "r1"), TaskKey(1, "start")

    path = place.card(key, card_id)

    assert path.startswith(place.card_prefix(key))
    assert card_id_of_key(path) == card_id
