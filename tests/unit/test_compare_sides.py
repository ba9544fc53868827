from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bench.errors import BenchError, ScenarioError, UsageError
from bench.paired.measure import as_recorded, labelled
from bench.paired.sides import Sides, parse_side, resolved
from bench.results.pairing import Side
from bench.scenario.scenario import Scenario, load_scenario
from bench.server import find_kind

SCENARIO = """
load: [{profile: poisson, arrival_rate: 50, duration: 1s}]
servers:
  plain: {kind: ./mine, delay: 20ms}
  other: {kind: echo, delay: 25ms}
  "a@b": {kind: echo}
"""


def git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=n", "-c", "user.email=e@example.org")
    return subprocess.run(
        ["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository with a kind of its own, at two commits: the second one has another program."""
    mine = tmp_path / "mine"
    mine.mkdir()
    echo = find_kind("echo", tmp_path)
    for name in ("server.py", "app.py"):
        (mine / name).write_bytes((echo / name).read_bytes())
    (tmp_path / "ab.yaml").write_text(SCENARIO)
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    git(tmp_path, "tag", "first")
    (mine / "app.py").write_text((mine / "app.py").read_text() + "\n# another program\n")
    git(tmp_path, "commit", "-q", "-a", "-m", "second")
    return tmp_path


def scenario_of(project: Path) -> Scenario:
    return load_scenario(project / "ab.yaml")


def look_at(project: Path, baseline: str, candidate: str, *changes: str) -> tuple[Sides, Path, list[str]]:
    """The sides, the folder of the baseline, and what of it is left once the block has ended."""
    scenario = scenario_of(project)
    one = parse_side(scenario, Side.BASELINE, baseline)
    two = parse_side(scenario, Side.CANDIDATE, candidate, changes)
    with resolved(scenario, one, two) as sides:
        folder = sides.baseline.entry.folder
        assert (folder / "server.py").is_file()
    return sides, folder, git(project, "worktree", "list", "--porcelain").splitlines()[3:]


def test_a_revision_is_taken_out_of_git_and_gone_afterwards(project: Path) -> None:
    sides, folder, left = look_at(project, "plain@first", "plain")
    assert not sides.same
    assert sides.baseline.contender.revision == git(project, "rev-parse", "first")
    assert sides.baseline.contender.digest != sides.candidate.contender.digest
    assert sides.baseline.entry.kind == "./mine"
    assert (folder.exists(), left) == (False, [])


def test_the_same_program_from_two_places_is_a_a(project: Path) -> None:
    sides, _, _ = look_at(project, "plain@HEAD", "plain")
    assert sides.same
    assert sides.baseline.contender.label == "plain@HEAD"


def test_a_worktree_is_gone_after_an_interruption_too(project: Path) -> None:
    scenario = scenario_of(project)
    sides = [parse_side(scenario, side, text) for side, text in zip(Side, ("plain@first", "plain"), strict=True)]
    folders = []

    def interrupted() -> None:
        with resolved(scenario, *sides) as found:
            folders.append(found.baseline.entry.folder)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not folders[0].exists()
    assert len(git(project, "worktree", "list").splitlines()) == 1


def test_the_same_name_twice_is_told_apart(project: Path) -> None:
    sides, _, _ = look_at(project, "plain", "plain")
    assert sides.same
    assert sides.baseline.contender.label == "plain (baseline)"
    assert sides.candidate.contender.label == "plain (candidate)"


def test_a_key_of_one_side_alone_changes_that_side(project: Path) -> None:
    sides, _, _ = look_at(project, "plain", "plain", "delay=22ms")
    assert not sides.same
    assert sides.candidate.entry.options["delay"] == pytest.approx(0.022)
    assert sides.baseline.entry.options["delay"] == pytest.approx(0.020)
    assert sides.candidate.contender.label == "plain delay=22ms"


def test_a_model_can_be_changed_for_one_side(project: Path) -> None:
    sides, _, _ = look_at(project, "plain", "plain", "model.keras_application=EfficientNetB1")
    assert sides.candidate.scenario.model is not None
    assert sides.same, "an echo server serves no model, so another one makes no other server"


def test_a_name_may_hold_an_at_sign(project: Path) -> None:
    assert parse_side(scenario_of(project), Side.BASELINE, "a@b").server == "a@b"
    assert parse_side(scenario_of(project), Side.BASELINE, "a@b@main").revision == "main"


def test_changes_that_neither_side_would_have_are_refused(project: Path) -> None:
    (project / "mine" / "app.py").write_text("# half done\n")
    with pytest.raises(UsageError, match="changes that are not committed") as failure:
        look_at(project, "plain@first", "plain@main")
    assert "mine/app.py" in str(failure.value)
    assert "--candidate plain" in failure.value.hint


def test_a_working_tree_with_changes_is_a_side_and_named_so(project: Path) -> None:
    (project / "mine" / "app.py").write_text((project / "mine" / "app.py").read_text() + "# half done\n")
    sides, _, _ = look_at(project, "plain@main", "plain")
    assert (sides.candidate.contender.dirty, sides.baseline.contender.dirty) == (True, False)
    assert not sides.same


@pytest.mark.parametrize(
    ("baseline", "said"),
    [
        ("plain@nowhere", "'nowhere' names no commit"),
        ("plain@--help", "'--help' names no commit"),
        ("plain@", "a revision is missing"),
        ("plan", "no server 'plan'"),
    ],
)
def test_a_side_that_cannot_be_had_is_told(project: Path, baseline: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        look_at(project, baseline, "plain")


def test_a_revision_without_the_folder_is_told(project: Path) -> None:
    git(project, "checkout", "-q", "--orphan", "empty")
    git(project, "rm", "-q", "-r", "--cached", ".")
    git(project, "add", "ab.yaml")
    git(project, "commit", "-q", "-m", "nothing")
    git(project, "tag", "empty-tag")
    git(project, "checkout", "-q", "-f", "main")
    with pytest.raises(UsageError, match="mine does not exist at commit"):
        look_at(project, "plain@empty-tag", "plain")


def test_a_folder_in_no_repository_has_no_revisions(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    for name in ("server.py", "app.py"):
        (mine / name).write_bytes((find_kind("echo", tmp_path) / name).read_bytes())
    (tmp_path / "ab.yaml").write_text(SCENARIO)
    with pytest.raises(UsageError, match="is in no git repository"):
        look_at(tmp_path, "plain@main", "plain")


@pytest.mark.parametrize(
    ("change", "said"), [("delay", "not KEY=VALUE"), ("kind=flask", "another kind"), ("dely=1s", "dely")]
)
def test_a_key_that_a_side_cannot_take_is_told(project: Path, change: str, said: str) -> None:
    with pytest.raises(BenchError, match=said) as failure:
        look_at(project, "plain", "plain", change)
    assert isinstance(failure.value, UsageError | ScenarioError)


@pytest.fixture
def modelled(project: Path) -> Path:
    """The same repository with a model in it, another one at its second commit, and a kind that runs it."""
    program = project / "mine" / "server.py"
    program.write_text(
        program.read_text().replace("    delay: Dur", '    model_form: ClassVar[str] = "keras"\n    delay: Dur')
    )
    (project / "ab.yaml").write_text(f"model: {{path: photos.keras}}\n{SCENARIO.lstrip()}")
    for number in ("third", "fourth"):
        (project / "photos.keras").write_text(number)
        git(project, "add", ".")
        git(project, "commit", "-q", "-m", number)
        git(project, "tag", number)
    return project


ANY_MODEL = {"keras_application": None, "weights": "random", "seed": 1}


def models(project: Path, baseline: str, candidate: str, *changes: str) -> tuple[str, str, bool, dict[str, object]]:
    """What the model of either side holds, whether the sides are alike, and the model's keys as a run keeps them."""
    scenario = scenario_of(project)
    one, two = parse_side(scenario, Side.BASELINE, baseline), parse_side(scenario, Side.CANDIDATE, candidate, changes)
    with resolved(scenario, one, two) as sides:
        paths = [sides.of(side).scenario.model_path for side in Side]
        first, second = (path.read_text() for path in paths if path is not None)
        kept = as_recorded(labelled(scenario, sides, "null", 1), sides)["model"]
    return first, second, sides.same, kept


def test_a_revision_has_the_model_that_its_repository_held_then(modelled: Path) -> None:
    first, second, same, kept = models(modelled, "plain@third", "plain")
    assert (first, second, same) == ("third", "fourth", False)
    assert kept["path"] == "photos.keras", "where it was checked out says nothing about the model"


def test_the_same_model_at_two_places_is_the_same(modelled: Path) -> None:
    assert models(modelled, "plain@fourth", "plain") == (
        "fourth",
        "fourth",
        True,
        {**ANY_MODEL, "path": "photos.keras"},
    )


def test_a_model_that_is_named_for_a_side_is_the_one_that_it_gets(modelled: Path) -> None:
    (modelled / "new.keras").write_text("new")
    assert models(modelled, "plain@fourth", "plain@fourth", "model.path=new.keras")[:3] == ("fourth", "new", False)


def test_a_model_that_no_repository_of_the_server_holds_is_common_to_both_sides(modelled: Path) -> None:
    git(modelled, "rm", "-q", "--cached", "photos.keras")
    git(modelled, "commit", "-q", "-m", "the model lies elsewhere now")
    assert models(modelled, "plain@third", "plain")[:2] == ("fourth", "fourth")


def test_a_changed_model_that_neither_side_would_have_is_refused(modelled: Path) -> None:
    (modelled / "photos.keras").write_text("fifth")
    with pytest.raises(UsageError, match="the model has changes that are not committed"):
        models(modelled, "plain@third", "plain@fourth")
    assert models(modelled, "plain@third", "plain")[:2] == ("third", "fifth")


def test_a_commit_without_the_model_is_told(modelled: Path) -> None:
    with pytest.raises(UsageError, match=r"photos\.keras does not exist at commit"):
        models(modelled, "plain@first", "plain")
