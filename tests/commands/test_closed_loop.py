"""The closed loop: train, export, serve and log, join rewards, train on the logs, export again."""

import csv
import http.client
import json

import numpy as np

import faulty
from command_server import run
from server_process import Embedded
from small_runs import report, small_run

EPISODES = 40
MOST_STEPS = 150


def play_against_the_server(server, writer, seed: int) -> None:
    """Plays one episode, mostly at random; each answer's consequence becomes a line of `writer`."""
    connection = http.client.HTTPConnection(server.host, server.rest, timeout=60)
    env = faulty.Corridor()
    observation, _ = env.reset(seed=4 * seed)
    for step in range(MOST_STEPS):
        row = {
            "observation": np.asarray(observation).tolist(),
            "epsilon": 0.9,
            "seed": 1000 * seed + step,
        }
        body = json.dumps({"signature_name": "epsilon_greedy", "instances": [row]})
        name = f"visit-{seed}-{step}"
        connection.request(
            "POST", "/v1/models/corridor:predict", body, headers={"X-Request-Id": name}
        )
        (answer,) = json.loads(connection.getresponse().read())["predictions"]
        observation, reward, terminated, _, _ = env.step(answer["action"])
        end = "terminated" if terminated else "truncated" if step == MOST_STEPS - 1 else ""
        writer.writerow([name, reward, end])
        if terminated:
            break
    connection.close()


def mean_return(tmp_path, version: int) -> float:
    path = tmp_path / f"score{version}.json"
    words = [f"--model={tmp_path / 'export' / str(version)}", "--episodes=20", f"--json={path}"]
    status, text = run([*words, "--max_episode_steps=100"], tmp_path, "evaluate.py")
    assert status == 0, text
    return json.loads(path.read_text(encoding="utf-8"))["mean"]


def test_what_is_served_comes_back_as_a_better_version(tmp_path):
    # hardly trained: five updates
    flags = {"evaluation_period_env_steps": 0, "evaluation_episode_steps": 100}
    first = small_run(tmp_path, total_steps=84, **flags)
    status, text = run(first, tmp_path)
    assert status == 0, text
    served = [f"--model_base_path={tmp_path / 'export'}", "--model_name=corridor"]
    server = Embedded(tmp_path, *served, f"--log_requests={tmp_path / 'logs'}")
    rewards = tmp_path / "rewards.csv"
    with rewards.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "reward", "end"])
        for seed in range(EPISODES):
            play_against_the_server(server, writer, seed)
    assert server.stop() == 0

    data = f"requests:{tmp_path / 'logs'}+{rewards}"
    learned = tmp_path / "learned"
    flags |= {"data": data, "offline_updates": 1500, "total_steps": 0, "n_step": 3}
    flags |= {"learning_rate": 5e-3, "learning_rate_end": 1e-4, "hidden_units": 16}
    words = small_run(tmp_path, run_dir=learned / "run", **flags)
    status, text = run(words, tmp_path)
    assert status == 0, text
    assert f"{EPISODES} episodes" in text
    assert report(learned)["export"].endswith("export/2")
    before, after = mean_return(tmp_path, 1), mean_return(tmp_path, 2)
    assert after == 1.0 and after >= before, (before, after)
