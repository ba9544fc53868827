"""What a look at the files of a model finds; no TensorFlow here."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from bench.errors import ScenarioError
from bench.model.check import check_model_file

HDF5 = b"\x89HDF\r\n\x1a\n"


def _h5(path: Path) -> Path:
    path.write_bytes(HDF5 + b"...")
    return path


def _saved_model(path: Path) -> Path:
    path.mkdir(parents=True)
    (path / "saved_model.pb").write_bytes(b"graph")
    return path


def _archive(path: Path, entry: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(entry, "{}")
    return path


def test_every_form_of_a_model_passes_the_look(tmp_path: Path) -> None:
    check_model_file(_h5(tmp_path / "model.h5"))
    check_model_file(_saved_model(tmp_path / "saved"))
    check_model_file(_archive(tmp_path / "model.keras", "config.json"))


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("model.h5", b"", "is not a Keras .h5 model but an empty file"),
        ("model.h5", b"some text", "but a text file"),
        ("model.h5", b"\xff\xd8\xff\xe0", "but a JPEG photo"),
        ("model.keras", HDF5, "is not a .keras model but an HDF5 file"),
        ("model.keras", b"", "but an empty file"),
        ("model.tflite", b"\x1c\0\0\0TFL3\0\0", "is not a model but a LiteRT (.tflite) model"),
        ("model.pb", b"\x08\x01\xfe\xff", "is not a model but some other binary file"),
        ("model.h5", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    ],
)
def test_a_file_that_is_no_model_is_called_what_it_is(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ScenarioError) as caught:
        check_model_file(tmp_path / name)
    assert sentence in caught.value.what
    assert caught.value.hint


def test_a_zip_without_a_configuration_is_not_a_keras_model(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"without config\.json"):
        check_model_file(_archive(tmp_path / "model.keras", "photos.txt"))


def test_a_folder_of_versions_names_the_newest(tmp_path: Path) -> None:
    _saved_model(tmp_path / "saved" / "1")
    with pytest.raises(ScenarioError, match=r"holds no saved_model\.pb") as caught:
        check_model_file(tmp_path / "saved")
    assert str(tmp_path / "saved" / "1") in caught.value.hint
