"""Would the tests notice a mistake in the rows of whole episodes? As in test_mutations.py."""

import pytest

import episode_batches
import growing
from dqn_tf.agent import episode_batch
from dqn_tf.agent.dqn import DQN
from dqn_tf.agent.networks.q_network import QNetwork
from dqn_tf.agent.networks.torsos.sequence import SequenceTorso
from dqn_tf.experience import whole_episodes
from dqn_tf.experience.logged import episode_replay
from dqn_tf.experience.whole_episodes import WholeEpisodes
from mutations import require_notice

DIES = "np.where(steps.terminated[last], 0.0, "

# name: owner, attribute, oracle, and pieces of the source with what is put in their place
MUTATIONS = {
    "death looked up at the window's first step": (
        whole_episodes,
        "episode_rows",
        growing.check_made_up_rows,
        (DIES, "np.where(steps.terminated, 0.0, "),
    ),
    "truncation taken for death": (
        whole_episodes,
        "episode_rows",
        growing.check_made_up_rows,
        (DIES, "np.where(np.isin(last, steps.starts[1:] - 1), 0.0, "),
    ),
    "the next position of one step in place of the window's": (
        whole_episodes,
        "episode_rows",
        growing.check_made_up_rows,
        ("after[last]", "after"),
    ),
    "the first step's legal actions in place of the last's": (
        whole_episodes,
        "episode_rows",
        growing.check_made_up_rows,
        ("steps.last_mask, steps.starts)[last]", "steps.last_mask, steps.starts)"),
    ),
    "unfinished episodes forgotten between two blocks": (
        WholeEpisodes,
        "add",
        growing.check_blocks,
        ("steps.part(slice(first, None))", "steps.part(slice(len(steps.action), None))"),
        ("begin - first", "begin * 0"),
    ),
    "unfinished episodes forgotten by a resume": (
        WholeEpisodes,
        "restore",
        growing.check_blocks,
        ('self._begin = state["begin"]', "return"),
    ),
    "a logged step learned from whose next observation is not known": (
        episode_replay,
        "_portions",
        growing.check_logged_rows,
        ("episodes.learnable_lengths", "episodes.lengths"),
    ),
    "the legal actions after an episode that goes on unseen": (
        episode_replay,
        "_steps_of",
        growing.check_logged_rows,
        ("np.where(is_cut, unseen, episodes.final_mask[numbers])", "episodes.final_mask[numbers]"),
    ),
    "the last step's observation for a final one that is known": (
        episode_replay,
        "_steps_of",
        growing.check_logged_rows,
        ("episodes.has_final[numbers]", "~episodes.has_next[numbers]"),
        ("episodes.final_observation[numbers]", "episodes.observation[last_row]"),
    ),
    "the next observation where the one before is meant": (
        DQN,
        "_forward",
        episode_batches.check_switched_update,
        ("POSITIONS[name]", 'POSITIONS["next_observation"]'),
    ),
    "steps behind an episode's end learned from": (
        episode_batch,
        "mean_of_steps",
        episode_batches.check_switched_update,
        ("is_step = batch[IS_STEP]", "is_step = tf.ones_like(batch[IS_STEP])"),
    ),
    "an episode's flag taken for its number's step": (
        episode_batch,
        "flattened",
        episode_batches.check_switched_update,
        ("tf.repeat(values, steps)", "tf.tile(values, [steps])"),
    ),
    "features of the last step for all of them": (
        QNetwork,
        "forward_steps",
        episode_batches.check_switched_update,
        ("step, axis=1", "tf.zeros_like(step), axis=1"),
    ),
    "the steps read in another order": (
        SequenceTorso,
        "steps",
        episode_batches.check_switched_update,
        ("self.entry(features)", "self.entry(features[:, ::-1])"),
    ),
    "the mean error of an episode over all places": (
        episode_batch,
        "priorities",
        episode_batches.check_priorities,
        ("tf.reduce_sum(is_step, axis=1)", "tf.reduce_sum(tf.ones_like(is_step), axis=1)"),
    ),
    "pretraining on the steps behind an episode's end": (
        DQN,
        "imitate",
        episode_batches.check_pretraining,
        ("self._mean(rows, batch)", "tf.reduce_mean(rows)[tf.newaxis]"),
    ),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_oracle_notices(name, monkeypatch):
    require_notice(monkeypatch, MUTATIONS[name])
