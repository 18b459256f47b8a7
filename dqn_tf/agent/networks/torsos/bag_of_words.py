"""How often each token occurs, and dense layers over these counts."""

from __future__ import annotations

from dqn_tf.agent.networks import choice
from dqn_tf.agent.networks.torsos.mlp import MLP
from dqn_tf.envs.spaces import Spaces


class BagOfWords(MLP):
    """An `MLP` of `hidden_units` over counts of tokens [V], padding left out.

    It cannot tell in which order the tokens stand: the baseline of LSTM-DQN (Narasimhan et al.
    2015, section 5).
    """

    counts_tokens = True

    @classmethod
    def refusal(cls, spaces: Spaces) -> str:
        """Say in a sentence why the torso cannot take these spaces; empty if it can."""
        return choice.refusal_of_counts(spaces)
