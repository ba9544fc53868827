from __future__ import annotations

import random

import pytest

from bench.errors import ArtifactError
from bench.programs.debian import Package, choose, read_index, version_key

SUM = "0123456789abcdef" * 4
INDEX = f"""Package: server
Version: 2.20.0
Description: one
 of two lines: Version: 9
Filename: pool/server.deb
Size: 12
SHA256: {SUM.upper()}

Package: server-universal
Version: 2.19.1-1
Filename: pool/universal.deb
Size: 7
SHA256: {SUM}
"""


def packages(*versions: str) -> list[Package]:
    return [Package("server", version, f"pool/{version}.deb", 1, SUM) for version in versions]


def test_an_index_is_read_field_by_field() -> None:
    assert read_index(INDEX) == (
        Package("server", "2.20.0", "pool/server.deb", 12, SUM),
        Package("server-universal", "2.19.1-1", "pool/universal.deb", 7, SUM),
    )


@pytest.mark.parametrize("text", ["", "\n \n\n"])
def test_an_empty_index_holds_nothing(text: str) -> None:
    assert read_index(text) == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<html>\n<p>Version: 1</p>\n</html>", "not an index of packages: it begins with '<html>"),
        (INDEX.replace("Size: 12\n", ""), "does not give Size of server"),
        (INDEX.replace(f"SHA256: {SUM}\n", ""), "does not give SHA256 of server-universal"),
        (INDEX.replace("Size: 12", "Size: -12"), "unreadable Size or SHA256 of server"),
        (INDEX.replace(SUM.upper(), "abc"), "unreadable Size or SHA256 of server"),
    ],
)
def test_an_index_that_could_not_protect_anybody_is_refused(text: str, said: str) -> None:
    with pytest.raises(ArtifactError, match=said):
        read_index(text)


def test_versions_are_ordered_as_debian_orders_them() -> None:
    ascending = ["1.0~~", "1.0~rc1", "1.0", "1.0-1", "1.0-2", "1.0a", "1.0+b", "1.0.1", "2.9.0", "2.10.0", "1:0.1"]
    shuffled = random.Random(3).sample(ascending, len(ascending))
    assert sorted(shuffled, key=version_key) == ascending


def test_the_newest_release_is_chosen_before_any_candidate() -> None:
    assert choose(packages("2.9.0", "2.10.0", "2.11.0-rc0"), "server").version == "2.10.0"
    assert choose(packages("2.9.0-rc0", "2.9.0-rc1"), "server").version == "2.9.0-rc1"


def test_a_version_is_found_with_or_without_epoch_and_revision() -> None:
    there = packages("1:2.9.0-1", "2.10.0")
    assert choose(there, "server", "2.9.0").version == "1:2.9.0-1"
    assert choose(there, "server", "1:2.9.0-1").version == "1:2.9.0-1"


def test_what_is_not_there_is_an_error_that_names_what_is() -> None:
    with pytest.raises(ArtifactError, match="no package other"):
        choose(packages("1.0"), "other")
    with pytest.raises(ArtifactError, match=r"no server 3\.0") as raised:
        choose(packages("1.0", "2.0", "1.0"), "server", "3.0")
    assert raised.value.hint == "it has 1.0, 2.0"
