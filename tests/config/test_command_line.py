"""support/command_line.py: flags read, the help page, and how a command is named."""

import sys

import pytest
from absl import flags

from command_server import ROOT
from dqn_tf.evaluation import flags as evaluation_flags
from dqn_tf.export import flags as export_flags
from dqn_tf.search import flags as search_flags
from dqn_tf.support import command_line
from dqn_tf.support.errors import UserError
from dqn_tf.tracking import flags as tracking_flags
from dqn_tf.traffic import flags as traffic_flags
from dqn_tf.training import flags as training_flags


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
        ("--seed=one", "--seed=one: must be an integer."),
        ("--verbose=maybe", "--verbose=maybe: must be true or false."),
        ("--noverbose=1", "--noverbose=1 does not take an argument"),
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


def path_of(word: str, of_models: bool = False) -> str:
    def define_it(values: flags.FlagValues) -> None:
        command_line.define_path("run_dir", None, "a directory", values, of_models)
        command_line.define_paths("compare", "two models", values)

    return command_line.parse(["train.py", word], define_it, page).run_dir


def test_paths_know_home_directories(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert path_of("--run_dir=~/x") == "/home/me/x" and path_of("--run_dir=~") == "/home/me"
    assert path_of("--run_dir=a/~b") == "a/~b" and path_of("--verbose") is None
    assert path_of("--run_dir=[v1]") == "[v1]"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("", "it must name a file or a directory"),
        ("gs://bucket/x", "it is an address"),
        ("~nobody-here/x", "there is no user 'nobody-here'"),
        ("\udcff", "it is not UTF-8"),
        ("a" * 300, "File name too long"),
        ("[v1]", "brackets and backslashes"),
        ("v\\1", "brackets and backslashes"),
    ],
)
def test_what_is_no_path_is_refused(path, said):
    with pytest.raises(UserError, match=said):
        path_of(f"--run_dir={path}", of_models=True)


def test_every_flag_that_names_a_place_is_a_path(monkeypatch):
    """Of all commands; a new flag of this kind is defined by `define_path`, too."""
    monkeypatch.setenv("HOME", "/home/me")
    kinds = {}
    for define_flags in (
        training_flags.define,
        evaluation_flags.define,
        export_flags.define,
        traffic_flags.define,
        search_flags.define,
        tracking_flags.define,
    ):
        values = flags.FlagValues()
        define_flags(values)
        for name in values:
            kinds[name] = values[name].parser.syntactic_help == "a path"
    places = {"run_dir", "export_dir", "resume", "model", "compare", "json", "video", "run"}
    places |= {"output", "logs", "hub_folder", "output_dir", "ranges"}
    assert {name for name, is_path in kinds.items() if is_path} == places
