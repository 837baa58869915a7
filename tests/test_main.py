"""The command line answers in one line."""

import shlex

import pytest

from glacier_nb import __main__


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["run", "--region", "Atlantis", "--years", "2020"], "Atlantis"),
        (["run", "--region", "Aletsch", "--years", "2025,2017"], "backwards"),
        (["run", "--region", "Aletsch", "--years", "2025-2017"], "backwards"),
        (["run", "--region", "Aletsch", "--years", "soon"], "2017,2021"),
        (["run", "--region", "Aletsch", "--years", "2020", "--notebook", "99_none"], "99_none"),
        (["systems", "no-such-system"], "no-such-system"),
    ],
)
def test_bad_input_is_one_line(argv, says, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert __main__.main(argv) == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1, error
    assert not list(tmp_path.iterdir()), "something half-written was left"


@pytest.mark.parametrize("name", __main__.EXAMPLES)
def test_every_command_has_help_with_examples_that_parse(name, capsys):
    with pytest.raises(SystemExit) as stop:
        __main__.main([name, "--help"])
    said = capsys.readouterr().out
    assert stop.value.code == 0 and "--" in said
    for example in __main__.EXAMPLES[name]:
        assert f"\n  {example}\n" in said
        assert __main__.parser().parse_args(shlex.split(example)[3:]).command == name


def test_no_command_is_without_an_example():
    (commands,) = (one for one in __main__.parser()._actions if one.dest == "command")
    assert set(commands.choices) == set(__main__.EXAMPLES)


def test_systems_prints_cards(capsys):
    assert __main__.main(["systems", "ndsi"]) == 0
    assert "ndsi" in capsys.readouterr().out
