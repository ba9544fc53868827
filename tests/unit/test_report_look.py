from __future__ import annotations

from pathlib import Path

from bench.report import look


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(colour: str) -> float:
    return 1.05 / (_luminance(colour) + 0.05)


def test_every_series_colour_can_be_seen_on_white() -> None:
    assert all(_contrast(colour) >= 3 for colour in look.PALETTE)


def test_every_text_colour_can_be_read_on_white() -> None:
    assert all(_contrast(colour) >= 4.5 for colour in (look.INK, look.MUTED, look.SLO_INK))


def test_no_two_of_forty_servers_share_colour_and_marker() -> None:
    assert len({(style.colour, style.marker) for style in look.styles(40)}) == 40


def test_a_server_keeps_its_look_when_others_are_added_after_it() -> None:
    assert look.styles(12)[:3] == look.styles(3)


def test_the_smallest_text_is_eleven_pixels() -> None:
    assert look.SMALL_PT / 0.75 >= 11


def test_equal_names_are_told_apart_by_their_number() -> None:
    assert look.distinct(["a", "b", "a"]) == ("a", "b", "a #3")


def test_the_pages_style_sheet_has_every_colour_of_the_charts_for_light_dark_and_paper() -> None:
    css = (Path(look.__file__).parent / "templates" / "style.css").read_text(encoding="utf-8")
    light, dark, paper = (part.partition("}")[0] for part in css.split(":root {")[1:4])
    for name, bright, dim in look.theme().values():
        assert f"--c-{name}: {bright};" in light
        assert f"--c-{name}: {dim};" in dark
        assert f"--c-{name}: {bright};" in paper


def test_every_server_can_be_seen_on_light_and_on_dark_paper() -> None:
    for colour in look.PALETTE:
        for one, paper in ((colour, look.PAPER), (look.THEME[colour][1], look.THEME[look.PAPER][1])):
            light, dark = sorted((_luminance(one), _luminance(paper)), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 3.0, (one, paper)
