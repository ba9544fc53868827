"""The photos that every server is asked about: JPEG bytes, exactly as they travel.

It looks at each photo once, before anything is measured, and knows nothing of models or requests. Pillow is
imported only where a user's own files have to be judged, so that commands without photos stay quick.
"""

from __future__ import annotations

import glob
import hashlib
import importlib.util
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import ScenarioError

SAMPLE = "sample"
"""What a scenario writes for the photos that ship inside dependencies."""

_SHIPPED = (
    ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
    ("sklearn", "datasets/images/china.jpg"),
    ("sklearn", "datasets/images/flower.jpg"),
)
_JPEG_FORMATS = ("JPEG", "MPO")  # phones write MPO: a JPEG with a second picture behind it, which decoders ignore


@dataclass(frozen=True, slots=True)
class Photo:
    """One JPEG file; `name` is how a person finds it again: a path relative to the scenario, or a file name."""

    name: str
    jpeg: bytes


def load_photos(images: str, beside: Path) -> tuple[Photo, ...]:
    """The photos that `payload.images` names, always in the same order.

    `images` is `sample`, or a glob relative to the folder `beside` (`photos/*.jpg`, `**` descends).
    Raises: ScenarioError if nothing matches, a file is not a JPEG that can be decoded, or fewer than two
    photos differ, since a check of answers could then not tell one photo's answer from another's.
    """
    photos = sample_photos() if images == SAMPLE else _photos_that_match(images, beside)
    if len({photo.jpeg for photo in photos}) < 2:
        raise _too_few(images, photos)
    return photos


def sample_photos() -> tuple[Photo, ...]:
    """The photos that ship inside matplotlib and scikit-learn, as many as are installed, in a fixed order."""
    files = (_inside(package, file) for package, file in _SHIPPED)
    return tuple(Photo(file.name, file.read_bytes()) for file in files if file is not None)


def photos_digest(photos: Sequence[Photo]) -> str:
    """A hex digest of the photos' bytes in their order; names do not count."""
    return payload_digest(photo.jpeg for photo in photos)


def payload_digest(payloads: Iterable[bytes]) -> str:
    """A hex digest of what requests carry, in their order."""
    digest = hashlib.sha256()
    for payload in payloads:
        digest.update(len(payload).to_bytes(8, "little") + payload)
    return digest.hexdigest()


def _inside(package: str, file: str) -> Path | None:
    spec = importlib.util.find_spec(package)  # of a top-level name: finds the package without importing it
    for place in (spec and spec.submodule_search_locations) or ():
        if (Path(place) / file).is_file():
            return Path(place) / file
    return None


def _photos_that_match(pattern: str, beside: Path) -> tuple[Photo, ...]:
    absolute = str(Path(pattern).expanduser()) if pattern.startswith("~") else pattern
    names = sorted(glob.glob(absolute, root_dir=beside, recursive=True))  # noqa: PTH207 -- Path.glob takes no absolute pattern
    files = [(name, beside / name) for name in names if (beside / name).is_file()]
    if not files:
        raise ScenarioError(
            f"no file matches {pattern!r} in {beside}",
            hint="a pattern is relative to the scenario's folder, for example 'photos/*.jpg'; "
            f"'{SAMPLE}' takes photos that ship with dependencies",
        )
    return tuple(_read_photo(name, file) for name, file in files)


def _read_photo(name: str, file: Path) -> Photo:
    try:
        jpeg = file.read_bytes()
    except OSError as failure:
        raise ScenarioError(f"photo {name} cannot be read: {failure.strerror}", hint="check its permissions") from None
    _check_jpeg(name, jpeg)
    return Photo(name, jpeg)


def _check_jpeg(name: str, jpeg: bytes) -> None:
    """Raises ScenarioError unless the bytes decode as a JPEG from the first to the last pixel."""
    from PIL import Image, UnidentifiedImageError

    if not jpeg:
        raise ScenarioError(f"photo {name} is empty", hint="remove it or narrow the pattern")
    try:
        with Image.open(io.BytesIO(jpeg)) as image:
            found = image.format
            image.verify()
        if found not in _JPEG_FORMATS:
            raise ScenarioError(
                f"photo {name} is not a JPEG but {found}",
                hint=f"convert it, for example: python -c \"from PIL import Image; Image.open('{name}')"
                f".convert('RGB').save('{Path(name).with_suffix('.jpg')}')\"",
            )
        with Image.open(io.BytesIO(jpeg)) as image:  # verify() leaves an image that cannot be decoded
            image.load()
    except UnidentifiedImageError:
        raise ScenarioError(
            f"photo {name} is not an image", hint="payload.images takes JPEG files; remove it or narrow the pattern"
        ) from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as failure:
        raise ScenarioError(
            f"photo {name} cannot be decoded: {failure}", hint="the file is damaged or incomplete; replace or remove it"
        ) from None


def _too_few(images: str, photos: Sequence[Photo]) -> ScenarioError:
    if images == SAMPLE:
        return ScenarioError(
            f"only {len(photos)} sample photo is installed and at least 2 are needed"
            if len(photos) == 1
            else "no sample photo is installed and at least 2 are needed",
            hint="pip install matplotlib scikit-learn, or name your own photos, for example 'images: photos/*.jpg'",
        )
    return ScenarioError(
        f"{images!r} gives one distinct photo ({photos[0].name}); with a single photo the check of answers cannot "
        "tell a right answer from one that is always the same",
        hint="give at least two different photos",
    )
