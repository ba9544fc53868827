"""Photos: found, judged and refused."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from bench.errors import ScenarioError
from bench.payload.photos import Photo, load_photos, photos_digest, sample_photos


def picture(colour: str, form: str = "JPEG", size: tuple[int, int] = (64, 48)) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, form)
    return stream.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "b.jpg").write_bytes(picture("red"))
    (tmp_path / "photos" / "a.jpg").write_bytes(picture("blue"))
    return tmp_path


def refusal(images: str, folder: Path) -> ScenarioError:
    with pytest.raises(ScenarioError) as caught:
        load_photos(images, folder)
    assert caught.value.what
    assert caught.value.hint
    assert caught.value.where == ""
    return caught.value


def test_the_sample_photos_come_in_a_fixed_order_and_all_differ(tmp_path: Path) -> None:
    photos = load_photos("sample", tmp_path)
    assert [photo.name for photo in photos] == ["grace_hopper.jpg", "china.jpg", "flower.jpg"]
    assert len({photo.jpeg for photo in photos}) == 3
    for photo in photos:
        with Image.open(io.BytesIO(photo.jpeg)) as image:
            image.load()
            assert image.format == "JPEG"


def test_finding_the_sample_photos_imports_no_heavy_package() -> None:
    program = (
        "import sys; from pathlib import Path; from bench.payload.photos import load_photos;"
        "load_photos('sample', Path('.'));"
        "print([name for name in ('matplotlib', 'sklearn', 'PIL', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_missing_package_leaves_out_its_sample_photos(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "bench.payload.photos._SHIPPED",
        (("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"), ("no_such_package", "x.jpg")),
    )
    assert [photo.name for photo in sample_photos()] == ["grace_hopper.jpg"]
    assert "only 1 sample photo" in refusal("sample", Path()).what


def test_a_pattern_is_relative_to_the_scenario_and_its_photos_are_sorted(folder: Path) -> None:
    photos = load_photos("photos/*.jpg", folder)
    assert [photo.name for photo in photos] == ["photos/a.jpg", "photos/b.jpg"]
    assert photos[0].jpeg == (folder / "photos" / "a.jpg").read_bytes()


def test_a_pattern_may_be_absolute_and_may_descend(folder: Path) -> None:
    assert len(load_photos(f"{folder}/**/*.jpg", Path("/"))) == 2


def test_a_folder_that_matches_is_not_a_photo(folder: Path) -> None:
    (folder / "photos" / "c.jpg").mkdir()
    assert len(load_photos("photos/*.jpg", folder)) == 2


def test_no_match_says_where_it_looked(folder: Path) -> None:
    error = refusal("pictures/*.jpg", folder)
    assert "pictures/*.jpg" in error.what
    assert str(folder) in error.what


def test_a_png_is_named_and_the_hint_converts_it(folder: Path) -> None:
    (folder / "photos" / "c.png").write_bytes(picture("green", "PNG"))
    error = refusal("photos/*", folder)
    assert error.what == "photo photos/c.png is not a JPEG but PNG"
    assert "photos/c.jpg" in error.hint


def test_a_png_that_calls_itself_jpg_is_found_out(folder: Path) -> None:
    (folder / "photos" / "c.jpg").write_bytes(picture("green", "PNG"))
    assert "not a JPEG but PNG" in refusal("photos/*.jpg", folder).what


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"just some text", "photos/c.jpg is not an image"),
        (b"", "photos/c.jpg is empty"),
        (picture("green", size=(640, 480))[:900], "photos/c.jpg cannot be decoded"),
    ],
)
def test_a_file_that_is_no_photo_is_named(folder: Path, content: bytes, sentence: str) -> None:
    (folder / "photos" / "c.jpg").write_bytes(content)
    assert sentence in refusal("photos/*.jpg", folder).what


def test_one_distinct_photo_is_refused_since_a_check_could_not_fail(folder: Path) -> None:
    (folder / "photos" / "b.jpg").write_bytes((folder / "photos" / "a.jpg").read_bytes())
    error = refusal("photos/*.jpg", folder)
    assert "one distinct photo (photos/a.jpg)" in error.what
    assert "two different photos" in error.hint


def test_the_digest_tells_order_and_bytes_but_not_names() -> None:
    one, two = Photo("one", b"1"), Photo("two", b"2")
    assert photos_digest([one, two]) == photos_digest([Photo("uno", b"1"), Photo("due", b"2")])
    assert photos_digest([one, two]) != photos_digest([two, one])
    assert photos_digest([Photo("", b"12"), Photo("", b"3")]) != photos_digest([Photo("", b"1"), Photo("", b"23")])
