"""Each mistake in logged data is told in one sentence that names file, column and row."""

import io
import pickle
import zipfile

import numpy as np
import pytest

import logged_data
from dqn_tf.experience.logged import sources
from dqn_tf.support.errors import UserError
from logged_data import MASKED, NUMBERS, PIXELS, VECTORS


def changed(name, row, value, dtype=None):
    """Columns in which one value is another one."""
    arrays = logged_data.columns()
    column = arrays[name] if dtype is None else arrays[name].astype(dtype)
    column[row] = value
    return arrays | {name: column}


def replaced(**arrays):
    return logged_data.columns() | {name: np.asarray(values) for name, values in arrays.items()}


def without(name):
    return {other: values for other, values in logged_data.columns().items() if other != name}


def masked(**arrays):
    return logged_data.masks() | {name: np.asarray(values) for name, values in arrays.items()}


def finals(**arrays):
    others = {name: np.asarray(values) for name, values in arrays.items()}
    return logged_data.columns() | logged_data.finals() | others


ALL_LEGAL = np.ones((5, 3), bool)
NONE_LEGAL = ALL_LEGAL.copy()
NONE_LEGAL[3] = False
FORBIDDEN = ALL_LEGAL.copy()
FORBIDDEN[2, 2] = False
LONG_EPISODE = np.array([7, 7, 7, 7, 7])

# columns, the spaces, and what the sentence says after the file's name
NPZ = {
    "a missing column": (without("reward"), VECTORS, " has no column reward."),
    "two missing columns": (
        {"observation": np.zeros((5, 2)), "episode": np.zeros(5, int), "action": np.zeros(5, int)},
        VECTORS,
        " has no column reward.",
    ),
    "a column of no schema": (
        replaced(propensities=np.ones(5)),
        VECTORS,
        ": column propensities is none of episode, observation,",
    ),
    "a NaN": (
        changed("observation", (3, 1), np.nan),
        VECTORS,
        ", row 3, column observation: nan is no finite float32",
    ),
    "an infinity": (
        changed("observation", (0, 0), -np.inf),
        VECTORS,
        ", row 0, column observation: -inf is no finite",
    ),
    "too large for float32": (
        changed("observation", (4, 1), 1e39, float),
        VECTORS,
        ", row 4, column observation: 1e+39 is no finite",
    ),
    "a reward of NaN": (
        changed("reward", 2, np.nan),
        VECTORS,
        ", row 2, column reward: nan is no finite float32, as a reward",
    ),
    "a whole number that float32 rounds": (
        replaced(reward=[1, 2, 2**24 + 1, 0, 0]),
        VECTORS,
        ", row 2, column reward: 16777217 would be rounded",
    ),
    "an action outside the space": (
        changed("action", 1, 4),
        VECTORS,
        ", row 1, column action: 4 is no action of the environment, whose actions are 1 to 3",
    ),
    "an action below the space": (
        changed("action", 4, 0),
        VECTORS,
        ", row 4, column action: 0 is no action",
    ),
    "actions as floats": (
        replaced(action=[1.0, 2.0, 3.0, 3.0, 1.0]),
        VECTORS,
        ", column action: it is of type float64, and must hold whole numbers",
    ),
    "actions that int64 does not hold": (
        replaced(action=np.array([1, 2, 2**63 + 1, 1, 1], np.uint64)),
        VECTORS,
        ", row 2, column action: 9223372036854775809 is not held by int64",
    ),
    "one-hot actions": (
        replaced(action=np.eye(3)[[0, 1, 2, 2, 0]]),
        VECTORS,
        ", column action: its shape is [5, 3], and must be [steps].",
    ),
    "texts": (
        replaced(reward=["1", "2", "3", "4", "5"]),
        VECTORS,
        ", column reward: it is of type <U1, and must hold numbers.",
    ),
    "complex numbers": (
        replaced(reward=np.ones(5, complex)),
        VECTORS,
        ", column reward: it is of type complex128",
    ),
    "an observation of another shape": (
        replaced(observation=np.zeros((5, 3))),
        VECTORS,
        ", column observation: its shape is [5, 3], and must be [steps, 2].",
    ),
    "an observation that would be rounded": (
        replaced(observation=np.zeros((5, 2, 2, 1)), action=[0, 1, 2, 2, 0]),
        PIXELS,
        ", column observation: it is of type float64, and must hold whole numbers, such as uint8",
    ),
    "a pixel that uint8 does not hold": (
        replaced(observation=np.arange(20).reshape(5, 2, 2, 1) * 20, action=[0, 1, 2, 2, 0]),
        PIXELS,
        ", row 3, column observation: 260 is not held by uint8",
    ),
    "a number that is no observation": (
        replaced(observation=[10, 13, 14, 12, 11], action=[0, 1, 0, 0, 0]),
        NUMBERS,
        ", row 2, column observation: 14 is no observation of the environment, whose numbers are",
    ),
    "a truth that is none": (
        replaced(terminated=[0, 0, 2, 0, 0]),
        VECTORS,
        ", row 2, column terminated: 2 must be true or false",
    ),
    "truths as floats": (
        replaced(truncated=np.zeros(5)),
        VECTORS,
        ", column truncated: it is of type float64, and must say true or false",
    ),
    "a negative episode": (
        changed("episode", slice(3, 5), -3),
        VECTORS,
        ", row 3, column episode: -3 is negative",
    ),
    "episodes interleaved": (
        replaced(episode=[1, 2, 1, 2, 2], terminated=np.zeros(5, bool)),
        VECTORS,
        ", row 2, column episode: episode 1 goes on after others",
    ),
    "terminated in the middle of an episode": (
        replaced(episode=LONG_EPISODE),
        VECTORS,
        ", row 2, column terminated: true, and its episode goes on in the next row",
    ),
    "truncated in the middle of an episode": (
        replaced(truncated=[1, 0, 0, 0, 0]),
        VECTORS,
        ", row 0, column truncated: true, and its episode goes on",
    ),
    "a step left out": (
        replaced(step=[0, 1, 3, 0, 1]),
        VECTORS,
        ", row 2, column step: 3 does not follow on 1",
    ),
    "an episode that begins late": (
        replaced(step=[1, 2, 3, 0, 1]),
        VECTORS,
        ", row 0, column step: 1 does not follow on -1",
    ),
    "two episodes of one number": (
        replaced(step=[0, 1, 2, 3, 4]),
        VECTORS,
        ", row 3, column step: an episode begins with step 0, and only there",
    ),
    "a propensity of 0": (
        replaced(propensity=[1, 1, 0, 1, 1]),
        VECTORS,
        ", row 2, column propensity: 0 must be above 0 and at most 1",
    ),
    "a propensity above 1": (
        replaced(propensity=[1, 1, 1, 1, 1.5]),
        VECTORS,
        ", row 4, column propensity: 1.5 must be above 0",
    ),
    "a propensity of NaN": (
        replaced(propensity=[1, np.nan, 1, 1, 1.0]),
        VECTORS,
        ", row 1, column propensity: nan must be above 0",
    ),
    "a mask that forbids what was done": (
        masked(action_mask=FORBIDDEN),
        MASKED,
        ", row 2, column action_mask: the mask forbids action 2, which was taken",
    ),
    "a mask that forbids everything": (
        masked(action_mask=NONE_LEGAL),
        MASKED,
        ", row 3, column action_mask: [False, False, False] makes no action legal",
    ),
    "a mask that is missing": (
        replaced(action=[0, 1, 2, 2, 0]),
        MASKED,
        " has no column action_mask: the environment says which actions are legal.",
    ),
    "a mask that the environment does not have": (
        replaced(action_mask=ALL_LEGAL),
        VECTORS,
        " has a column action_mask, and all actions of the environment are always legal",
    ),
    "a final mask that is missing": (
        masked(**logged_data.finals()),
        MASKED,
        " has no column final_action_mask",
    ),
    "a final mask that forbids everything": (
        masked(**logged_data.finals(), final_action_mask=np.eye(3, dtype=bool)[[0, 1]] & False),
        MASKED,
        ", row 1, column final_action_mask: it makes no action legal, and the episode did not",
    ),
    "too few final observations": (
        finals(final_observation=[[0.0, 1.0]]),
        VECTORS,
        ", column final_observation: it has 1 rows, and there are 2 episodes",
    ),
    "a final observation of NaN": (
        finals(final_observation=[[0.0, 1.0], [np.nan, 0.0]]),
        VECTORS,
        ", row 1, column final_observation: nan is no finite float32",
    ),
    "finals without observations": (
        replaced(has_final=[True, True]),
        VECTORS,
        " has a column has_final, and no final_observation with it.",
    ),
    "columns of different lengths": (
        replaced(reward=np.zeros(4)),
        VECTORS,
        ", column reward: it has 4 rows, and episode has 5.",
    ),
    "a single number": (replaced(reward=1.0), VECTORS, ", column reward: its shape is []"),
    "no rows": (
        {name: values[:0] for name, values in logged_data.columns().items()},
        VECTORS,
        " holds no steps",
    ),
}


def sentence(spec, spaces):
    """The sentence that loading ends with."""
    with pytest.raises(UserError) as caught:
        sources.load(str(spec), spaces)
    told = str(caught.value)
    assert told.endswith(".")
    assert "\n" not in told
    assert ". " not in told.replace(str(spec), ""), "more than one sentence"
    return told


@pytest.mark.parametrize("case", NPZ)
def test_npz(tmp_path, case):
    arrays, spaces, expected = NPZ[case]
    path = logged_data.write_npz(tmp_path / "bad.npz", arrays)
    assert sentence(path, spaces).startswith(f"{path}{expected}")


def edited(tmp_path, edit, arrays=None):
    """The lines of a CSV file, changed and written again."""
    path = logged_data.write_csv(tmp_path / "bad.csv", arrays or logged_data.columns())
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(edit(lines)) + "\n", encoding="utf-8")
    return path


def cell(line, column, text):
    """An edit of one cell; `line` counts from 1, as a spreadsheet does."""

    def edit(lines):
        cells = lines[line - 1].split(",")
        cells[lines[0].split(",").index(column)] = text
        return [*lines[: line - 1], ",".join(cells), *lines[line:]]

    return edit


CSV = {
    "semicolons": (
        lambda lines: [line.replace(",", ";") for line in lines],
        ", line 1: its columns are separated by semicolons: save it with commas",
    ),
    "tabs": (
        lambda lines: [line.replace(",", "\t") for line in lines],
        ", line 1: its columns are separated by tabs",
    ),
    "no names": (lambda lines: lines[1:], ", line 1: two columns are called "),
    "one name twice": (
        cell(1, "observation_1", "observation_0"),
        ", line 1: two columns are called observation_0.",
    ),
    "a column without a name": (cell(1, "reward", " "), ", line 1: a column has no name."),
    "a missing number": (cell(1, "observation_1", "x"), " has no column observation_1: each line"),
    "a number too many": (cell(1, "reward", "observation_2"), ", line 1: column observation_2 is"),
    "a missing column": (cell(1, "reward", "rewards"), ": column rewards is none of episode,"),
    "an empty cell": (cell(3, "reward", ""), ", line 3, column reward: the cell is empty."),
    "a word": (cell(4, "reward", "none"), ", line 4, column reward: 'none' is no number."),
    "a decimal comma": (cell(4, "reward", '"1,5"'), ", line 4, column reward: '1,5' is no number."),
    "thousands": (cell(4, "reward", "1_000"), ", line 4, column reward: '1_000' is no number."),
    "a NaN": (
        cell(6, "observation_1", "nan"),
        ", line 6, column observation: nan is no finite float32",
    ),
    "actions as floats": (
        cell(2, "action", "1.0"),
        ", line 2, column action: '1.0' is no whole number.",
    ),
    "an action outside the space": (
        cell(2, "action", "4"),
        ", line 2, column action: 4 is no action",
    ),
    "an action that is far too large": (
        cell(2, "action", "9" * 20),
        f", line 2, column action: {'9' * 20} is too large",
    ),
    "a truth that is none": (
        cell(2, "terminated", "no"),
        ", line 2, column terminated: 'no' must be true or false",
    ),
    "a short line": (
        lambda lines: [*lines[:3], lines[3].rpartition(",")[0], *lines[4:]],
        ", line 4: it has 6 cells, and line 1 names 7 columns.",
    ),
    "an empty line": (
        lambda lines: [*lines[:3], "", *lines[3:]],
        ", line 4: it has 0 cells",
    ),
    "a quote that does not end": (cell(6, "reward", '"1'), " is no CSV file: Error: "),
    "terminated in the middle": (
        cell(3, "terminated", "TRUE"),
        ", line 3, column terminated: true, and its episode goes on",
    ),
    "final observations": (
        cell(1, "reward", "final_observation"),
        ": column final_observation is none of",
    ),
    "names only": (lambda lines: lines[:1], " holds no steps"),
    "nothing": (lambda lines: [], " is empty: its first line must name the columns."),
}


@pytest.mark.parametrize("case", CSV)
def test_csv(tmp_path, case):
    edit, expected = CSV[case]
    path = edited(tmp_path, edit)
    if case == "nothing":
        path.write_bytes(b"")
    assert sentence(path, VECTORS).startswith(f"{path}{expected}")


def test_csv_in_another_encoding(tmp_path):
    path = logged_data.write_csv(tmp_path / "bad.csv", logged_data.columns(), "utf-16")
    assert sentence(path, VECTORS).startswith(f"{path} is not UTF-8 text: save it as CSV")


def test_an_npz_file_that_is_cut_off(tmp_path):
    path = logged_data.write_npz(tmp_path / "bad.npz", logged_data.columns())
    content = path.read_bytes()
    for end in (0, 10, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:end])
        assert sentence(path, VECTORS).startswith(f"{path} is damaged, or no npz file: ")


def test_an_npz_file_with_a_wrong_byte(tmp_path):
    arrays = logged_data.columns()
    path = logged_data.write_npz(tmp_path / "bad.npz", arrays)
    content = bytearray(path.read_bytes())
    place = content.index(arrays["reward"].tobytes())
    content[place + 8] ^= 1
    path.write_bytes(content)
    assert "Bad CRC-32 for file 'reward.npy'" in sentence(path, VECTORS)


def test_a_compressed_npz_file_with_a_wrong_byte(tmp_path):
    path = tmp_path / "bad.npz"
    np.savez_compressed(path, **logged_data.columns())
    content = bytearray(path.read_bytes())
    for place in range(40, len(content) - 40, 25):
        damaged = content.copy()
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        try:
            episodes = sources.load(str(path), VECTORS)
        except UserError as error:
            assert str(path) in str(error)
        else:  # a byte that says nothing, such as a date
            assert episodes.reward.tolist() == logged_data.columns()["reward"].tolist()


class Program:
    """What a pickle must not run."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was opened",))


def test_pickled_objects_are_never_opened(tmp_path):
    path = tmp_path / "bad.npz"
    columns = logged_data.columns() | {"reward": np.array([Program()] * 5, object)}
    np.savez(path, allow_pickle=True, **columns)
    told = sentence(path, VECTORS)
    assert told.startswith(f"{path}, column reward: it holds pickled objects, which are never")
    path.write_bytes(pickle.dumps(Program()))
    assert sentence(path, VECTORS).startswith(f"{path} is damaged, or no npz file: ")


def test_an_npz_file_with_something_else_in_it(tmp_path):
    path = logged_data.write_npz(tmp_path / "bad.npz", logged_data.columns())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("notes.txt", "hello")
    assert sentence(path, VECTORS) == f"{path} holds notes.txt, which is no column: no npy file."


def test_a_column_that_promises_more_than_there_is(tmp_path):
    path = logged_data.write_npz(tmp_path / "bad.npz", without("reward"))
    stream = io.BytesIO()
    head = {"descr": "<f4", "fortran_order": False, "shape": (10**15,)}
    np.lib.format.write_array_header_1_0(stream, head)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("reward.npy", stream.getvalue())
    told = sentence(path, VECTORS)
    assert told == (
        f"{path} is damaged, or no npz file: ValueError: column reward is not as long as it says."
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("", "--data= is empty: name a source, such as --data=expert.npz."),
        ("~nobody/a.npz", "--data={}: there is no such file or directory."),
        ("nowhere.npz", "--data={}: there is no such file or directory."),
        ("empty", "--data={} is a directory without npz files."),
        ("data.parquet", "--data={}: the name of a file must end in .npz or .csv."),
    ],
)
def test_paths_that_name_no_data(tmp_path, name, expected):
    (tmp_path / "empty").mkdir()
    (tmp_path / "data.parquet").write_text("no")
    path = tmp_path / name if name[:1] not in ("", "~") else name
    assert sentence(path, VECTORS) == expected.format(path)


def test_files_of_a_directory_with_different_columns(tmp_path):
    first = logged_data.write_npz(tmp_path / "1.npz", logged_data.columns())
    second = logged_data.write_npz(tmp_path / "2.npz", replaced(propensity=np.ones(5)))
    assert sentence(tmp_path, VECTORS) == (
        f"{first} has no column propensity, and {second} has: all files of {tmp_path} need the same"
        " ones."
    )


def test_the_row_is_that_of_its_file(tmp_path):
    logged_data.write_npz(tmp_path / "1.npz", logged_data.columns())
    second = logged_data.write_npz(tmp_path / "2.npz", changed("action", 3, 9))
    assert sentence(tmp_path, VECTORS).startswith(f"{second}, row 3, column action: 9 is no action")
