"""benchmarks/dialogues: customers of a server, what is logged of them, and the page."""

import json
from pathlib import Path

import pytest

pytest.importorskip("aiohttp", reason="needs the extra [serving]")
pytest.importorskip("tensorflow_serving", reason="needs the extra [serving]")

from benchmarks.common import records
from benchmarks.dialogues import served
from benchmarks.dialogues.__main__ import BEGIN, END, PAGE, Row, parse, render
from benchmarks.dialogues.customer import converse, pester
from benchmarks.serving.server import MODEL
from command_server import run
from dqn_tf.config import presets
from dqn_tf.envs import registry
from dqn_tf.experience.logged.shares import load_all
from dqn_tf.support.errors import UserError
from dqn_tf.traffic import __main__ as traffic_command
from dqn_tf.traffic import flags as traffic_flags
from helpdesk_agent import ENV, publish_asking
from server_process import embedded

ROOT = Path(__file__).parents[3]


def test_what_customers_do_instead_is_logged_with_its_probability(tmp_path):
    models, logs, rewards = tmp_path / "models", tmp_path / "logs", tmp_path / "rewards.csv"
    publish_asking(models)
    env = registry.make_env(ENV)
    words = [f"--model_base_path={models}", f"--model_name={MODEL}", f"--log_requests={logs}"]
    with embedded(tmp_path, *words) as server:
        held = converse(server.rest, env, range(40), 0.5, rewards)
        assert len(pester(server.rest, 1)) == 11
        assert server.stop() == 0
    config = presets.configure(ENV, {})
    (data,) = load_all(
        [f"requests:{logs}+{rewards}"],
        registry.spaces(config),
        None,
        lambda: registry.find_tokenizer(config),
    )
    episodes = data.episodes
    assert len(episodes) == len(held.milliseconds) and len(episodes.starts) == 41
    assert episodes.reward.sum() == pytest.approx(sum(held.returns))
    assert set(episodes.propensity.round(4)) == {round(0.5 / 12, 4), round(0.5 / 12 + 0.5, 4)}
    assert len(set(episodes.action.tolist())) > 6, "the client's, not the agent's"
    for row, start in enumerate(episodes.starts[:-1]):
        first, _ = env.reset(seed=row)
        assert episodes.observation[start].tolist() == first.tolist()
    every_command_reads_them(tmp_path, f"requests:{logs}+{rewards}")


def every_command_reads_them(tmp_path, data: str) -> None:
    """Training, the value of a policy from logged episodes, and the report on served traffic."""
    logs = tmp_path / "logs"
    model = f"--model={tmp_path / 'models'}"
    flags = {"network": "mlp", "hidden_units": 4, "total_steps": 0, "offline_updates": 2}
    words = [f"--{name}={value}" for name, value in flags.items()]
    outputs = [f"--run_dir={tmp_path / 'run'}", f"--export_dir={tmp_path / 'learned'}"]
    status, said = run([f"--env={ENV}", f"--data={data}", *words, *outputs], tmp_path)
    assert status == 0 and "40 episodes" in said, said
    status, said = run([model, f"--data={data}"], tmp_path, "evaluate.py")
    assert status == 0 and "40 episodes" in said, said
    report = tmp_path / "traffic.json"
    traffic_command.main(
        traffic_flags.parse(["traffic", f"--logs={logs}", model, f"--json={report}"])
    )
    told = json.loads(report.read_text(encoding="utf-8"))
    assert len(told["inputs"]) == 76, "each token of the texts is a component"


def test_the_page_shows_the_rows_that_are_kept():
    rows = records.read(ROOT / "benchmarks" / "results" / "dialogues" / "loops.csv", Row)
    page = PAGE.read_text(encoding="utf-8")
    shown = page.partition(BEGIN)[2].partition(END)[0].strip().splitlines()
    assert rows and shown == render(rows)
    assert all(row.equal == row.episodes for row in rows), "over REST as by evaluate.py"


def test_the_page_shows_the_agents_that_were_served():
    file = ROOT / "benchmarks" / "results" / "dialogues" / "served.csv"
    rows = records.read(file, served.Row) if file.is_file() else []
    page = PAGE.read_text(encoding="utf-8")
    shown = page.partition(served.BEGIN)[2].partition(served.END)[0].strip().splitlines()
    assert shown == served.render(rows)
    assert all(row.equal == row.episodes for row in rows), "over REST as by evaluate.py"


def test_an_agent_that_was_exported_before_is_served(tmp_path, monkeypatch):
    publish_asking(tmp_path / "models")
    monkeypatch.setattr(served, "EPISODES", 20)
    monkeypatch.setattr(served, "ODD_ROUNDS", 1)
    row = served.measure(str(tmp_path / "models"), tmp_path)
    assert row.equal == row.episodes == 20 and row.served == pytest.approx(row.expected)
    assert 0.0 < row.p50_ms <= row.p99_ms and (row.stored_as, row.language_model) == ("float32", "")
    assert len(served.render([row])) == 5
    with pytest.raises(UserError, match="there is no such directory"):
        served.measure(str(tmp_path / "nothing"), tmp_path)


def test_flags():
    assert parse(["dialogues", "--seed=3"]).seed == 3
    with pytest.raises(UserError, match="seed"):
        parse(["dialogues", "--seed=x"])
