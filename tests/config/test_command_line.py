"""support/command_line.py: flags read, the help page, and how a command is named."""

import sys

import pytest
from absl import flags

from command_server import ROOT
from dqn_tf.support import command_line
from dqn_tf.support.errors import UserError


def define(values: flags.FlagValues) -> None:
    flags.DEFINE_string("model", None, "evaluate " * 20, flag_values=values)
    flags.DEFINE_integer("seed", 0, "of the episodes", flag_values=values)
    flags.DEFINE_bool("pin", True, "one core each", flag_values=values)
    flags.DEFINE_bool("quick", False, "a short one", flag_values=values)
    flags.DEFINE_list("formats", ["a", "b"], "what is written", flag_values=values)
    flags.DEFINE_multi_string("compare", None, "two models", flag_values=values)


def page(command: str, values: flags.FlagValues) -> str:
    sections = {
        "": command_line.entries(values, "model", "seed", "pin", "quick"),
        "Others": [
            *command_line.entries(values, "formats", "compare"),
            command_line.Entry("steps", "length", "5", "steps"),
        ],
    }
    return command_line.help_page([f"{command} --model=M"], "One\ntwo.\n\nThree.", sections)


def parse(*words: str) -> flags.FlagValues:
    return command_line.parse(["evaluate.py", *words], define, page)


def test_the_help_page(capsys):
    with pytest.raises(SystemExit) as exit_:
        parse("--help")
    assert exit_.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:8] == [
        "python evaluate.py --model=M",
        "",
        "One two.",
        "",
        "Three.",
        "",
        "  --model",
        "      " + " ".join(["evaluate"] * 10),
    ]
    assert lines[lines.index("  --seed=0") :] == [
        "  --seed=0",
        "      of the episodes",
        "  --pin=true",
        "      one core each",
        "  --quick",
        "      a short one",
        "",
        "Others:",
        "  --formats=a,b",
        "      what is written",
        "  --compare",
        "      two models",
        "  --steps=5  [steps]",
        "      length",
    ]
    assert max(map(len, lines)) <= command_line.WIDTH


def test_every_parse_has_values_of_its_own():
    first, second = parse("--seed=3", "--verbose"), parse()
    assert (first.seed, first.verbose, first["seed"].present) == (3, True, 1)
    assert (second.seed, second.verbose, second["seed"].present) == (0, False, 0)
    assert "seed" not in flags.FLAGS


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("--sed=1", "Unknown command line flag 'sed'"),
        ("--seed=one", "flag --seed=one"),
        ("stray", "'stray' is not a flag; flags look like --name=value"),
    ],
)
def test_a_mistake_is_a_sentence_that_names_the_help_page(word, said):
    with pytest.raises(UserError) as refusal:
        parse(word)
    sentence = str(refusal.value)
    assert said in sentence and "(python evaluate.py --help lists" in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize(
    ("program", "name"),
    [
        ("/usr/bin/dqn-train", "dqn-train"),
        ("train.py", "python train.py"),
        (str(ROOT / "train.py"), f"python {ROOT / 'train.py'}"),
        (str(ROOT / "dqn_tf" / "export" / "__main__.py"), "python -m dqn_tf.export"),
        (str(ROOT / "dqn_tf" / "support" / "files.py"), "python -m dqn_tf.support.files"),
    ],
)
def test_a_command_is_named_as_it_was_typed(program, name):
    assert command_line.command_name(program) == name


@pytest.mark.parametrize(
    ("program", "names"),
    [
        ("/usr/bin/dqn-train", ["dqn-evaluate", "dqn-export"]),
        ("train.py", ["python evaluate.py", "python -m dqn_tf.export"]),
    ],
)
def test_other_commands_are_named_in_the_same_way(monkeypatch, program, names):
    monkeypatch.setattr(sys, "argv", [program])
    assert [command_line.other_command(folder) for folder in ("evaluation", "export")] == names


def test_lists_of_words():
    assert command_line.words("sweeps", "b,a,b", ["a", "b", "c"]) == ["b", "a"]
    for text, said in (("a,x", "--sweeps=a,x: 'x' is none of a, b"), (",", "name at least one of")):
        with pytest.raises(UserError, match=said):
            command_line.words("sweeps", text, ["a", "b"])
