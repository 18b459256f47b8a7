"""How a run learns: network, optimizer, and the improvements of DQN."""

from __future__ import annotations  # field types are read as text by the command line

import dataclasses

from dqn_tf.config.notation import weighted_names
from dqn_tf.config.ranges import Choice, Format, Range
from dqn_tf.config.searched import Searched
from dqn_tf.config.settings.setting import IMPROVEMENTS, LEARNING, NATURE, NETWORK, setting

# The soft bootstrap has no greedy next action to choose, and its target is a number.
BESIDE_MUNCHAUSEN = {"double": (False,), "distribution": ("none",), "support": (0.0,)}
OF_BOUNDS = ({"distribution": ("c51",)}, {"clip_targets": (True,)})


@dataclasses.dataclass(frozen=True)
class LearningSettings:
    """How a run learns: network, optimizer, and the improvements of DQN."""

    network: str = setting(
        "auto",
        NETWORK,
        "torso of the Q-network; auto is nature_cnn for images from 36x36, nips_cnn from"
        " 20x20, minatar_cnn for smaller ones and for bool, transformer for tokens, pretrained for"
        " those of a --language_model, else mlp; nips_cnn is smaller and faster than nature_cnn,"
        " small_cnn is for pictures of about 42x42;"
        " transformer and gru read tokens [T] or numbers of T steps [T, N];"
        " bag_of_words counts tokens and has an mlp over the counts; pretrained reads messages by a"
        " --language_model and has an mlp over them;"
        " my_module:MyTorso is a dqn_tf.agent.Torso of your own",
        Choice(
            "auto",
            "mlp",
            "nature_cnn",
            "nips_cnn",
            "small_cnn",
            "minatar_cnn",
            "transformer",
            "gru",
            "bag_of_words",
            "pretrained",
            own="MyTorso",
        ),
        source="Mnih et al. 2015, 2013; Young and Tian 2019",
        fixed_on_resume=True,
    )
    hidden_units: tuple[int, ...] = setting(
        (256, 256),
        NETWORK,
        "widths of the hidden layers of the mlp, of bag_of_words and of pretrained",
        Format("positive widths such as 256,256", lambda value: all(width >= 1 for width in value)),
        fixed_on_resume=True,
        when={"network": ("mlp", "bag_of_words", "pretrained")},
        search=Searched(choices=((64, 64), (128, 128), (256, 256))),
    )
    layers: int = setting(
        2,
        NETWORK,
        "blocks of the transformer, or of the gru",
        Range(low=1),
        fixed_on_resume=True,
        when={"network": ("transformer", "gru")},
        search=Searched(1, 4),
    )
    heads: int = setting(
        2,
        NETWORK,
        "heads of the transformer's attention; width / heads must be even",
        Range(low=1),
        fixed_on_resume=True,
        when={"network": ("transformer",)},
    )
    width: int = setting(
        64,
        NETWORK,
        "numbers by which the transformer or the gru describes a step, and pretrained a message",
        Range(low=1, log=True),
        fixed_on_resume=True,
        when={"network": ("transformer", "gru", "pretrained")},
        search=Searched(choices=(32, 64, 128)),
    )
    keep_bias: float = setting(
        0.0,
        NETWORK,
        "of the gru: bias with which the gate begins that keeps its state; at 2 it keeps 88 % at"
        " each step, and at 0 half, which forgets a few words before it has learned from them",
        Range(low=0.0),
        source="Jozefowicz et al. 2015, of the LSTM's forget gate",
        fixed_on_resume=True,
        when=({"network": ("gru",)}, {"message_torso": ("gru",)}),
        search=Searched(choices=(0.0, 1.0, 2.0), when={"network": ("gru",)}),
    )
    choices: str = setting(
        "numbered",
        NETWORK,
        "how the network knows the actions: numbered, an output for each; or texts, where the"
        ' environment gives the texts of its choices at every step (info["choices"]): Q of each'
        " comes from its own text, so choices may vary and new ones be added after training",
        Choice("numbered", "texts"),
        source="He et al. 2016",
        fixed_on_resume=True,
    )
    max_choices: int = setting(
        0,
        NETWORK,
        "with --choices=texts: room for so many choices at a step; 0 is as many as the environment"
        " has actions",
        Range(low=0),
        fixed_on_resume=True,
    )
    choice_tokens: int = setting(
        0,
        NETWORK,
        "with --choices=texts: tokens kept of a choice's text; 0 is what the environment says",
        Range(low=0),
        unit="tokens",
        fixed_on_resume=True,
    )
    gamma: float = setting(
        0.99,
        LEARNING,
        "discount factor",
        Range(0.0, 1.0),
        source=NATURE,
        search=Searched(choices=(0.9, 0.95, 0.98, 0.99, 0.995)),
    )
    optimizer: str = setting(
        "adam",
        LEARNING,
        "optimizer of the online network",
        Choice("adam", "rmsprop"),
        fixed_on_resume=True,
    )
    learning_rate: float = setting(
        5e-4,
        LEARNING,
        "step size of the optimizer at the first update",
        Range(above=0, log=True),
        search=Searched(1e-5, 1e-2, log=True),
    )
    learning_rate_end: float | None = setting(
        None,
        LEARNING,
        "step size at the last update, reached linearly; constant if not given",
        Range(low=0),
        search=Searched(choices=(None, 1e-5)),
    )
    optimizer_epsilon: float = setting(
        1e-7,
        LEARNING,
        "the optimizer's epsilon",
        Range(above=0, log=True),
        source="Keras",
        search=Searched(1e-8, 1e-3, log=True),
    )
    max_gradient_norm: float = setting(
        10.0,
        LEARNING,
        "gradients are scaled down to this global norm; 0 leaves them as they are",
        Range(low=0),
        source="Wang et al. 2016",
        search=Searched(choices=(0.0, 0.5, 1.0, 10.0)),
    )
    loss: str = setting(
        "huber",
        LEARNING,
        "loss on the TD error",
        Choice("huber", "mse"),
        source=NATURE,
        when={"distribution": ("none",)},
        search=Searched(choices=("huber", "mse")),
    )
    huber_delta: float = setting(
        1.0,
        LEARNING,
        "TD error at which the Huber loss turns linear",
        Range(above=0),
        unit="return",
        when=({"distribution": ("none",), "loss": ("huber",)}, {"distribution": ("quantile",)}),
    )
    auxiliary_losses: str = setting(
        "",
        LEARNING,
        "further terms of the loss, each a function of your own with its weight:"
        " my_module:my_loss=0.1,my_module:other_loss",
        Format(
            "empty, or names and weights such as my_module:my_loss=0.1",
            lambda value: not value or bool(weighted_names(value)),
        ),
    )
    batch_size: int = setting(
        128,
        LEARNING,
        "transitions per update, or episodes with --replay_unit=episode",
        Range(low=1, log=True),
        unit="transitions",
        search=Searched(choices=(32, 64, 128, 256)),
    )
    target_update_period_env_steps: int = setting(
        500,
        LEARNING,
        "target network updated this often",
        Range(low=1, log=True),
        unit="environment steps",
        search=Searched(50, 10_000, log=True, when={"tau": (1.0,)}),
    )
    tau: float = setting(
        1.0,
        LEARNING,
        "share of the online network in each target update; 1 is a hard copy",
        Range(0.0, 1.0),
        source="Lillicrap et al. 2016",
        search=Searched(1e-3, 0.1, log=True, when={"tau": Range(high=0.5)}),
    )
    double: bool = setting(
        False,
        IMPROVEMENTS,
        "the online network chooses the next action, the target network values it",
        source="van Hasselt et al. 2016",
        search=Searched(choices=(False, True), when={"munchausen": (False,)}),
    )
    dueling: bool = setting(
        False,
        IMPROVEMENTS,
        "separate streams for the state's value and the actions' advantages",
        source="Wang et al. 2016",
        fixed_on_resume=True,
        search=Searched(choices=(False, True)),
    )
    n_step: int = setting(
        1,
        IMPROVEMENTS,
        "rewards summed before the bootstrap",
        Range(low=1),
        unit="environment steps",
        source="Sutton 1988",
        fixed_on_resume=True,
        search=Searched(choices=(1, 2, 3, 5, 10)),
    )
    prioritized: bool = setting(
        False,
        IMPROVEMENTS,
        "replay in proportion to the TD error, with importance weights under every loss",
        source="Schaul et al. 2016",
        fixed_on_resume=True,
        search=Searched(choices=(False, True)),
    )
    priority_alpha: float = setting(
        0.6,
        IMPROVEMENTS,
        "exponent of the priorities; 0 is uniform",
        Range(0.0, 1.0),
        fixed_on_resume=True,
        when={"prioritized": (True,)},
        search=Searched(0.3, 0.9),
    )
    priority_beta_start: float = setting(
        0.4,
        IMPROVEMENTS,
        "exponent of the importance weights at the first step; 1 at the last",
        Range(0.0, 1.0),
        when={"prioritized": (True,)},
        search=Searched(0.2, 0.8),
    )
    noisy: bool = setting(
        False,
        IMPROVEMENTS,
        "factorised noise on the dense layers explores instead of epsilon",
        source="Fortunato et al. 2018",
        fixed_on_resume=True,
        search=Searched(choices=(False, True)),
    )
    noisy_sigma: float = setting(
        0.5,
        IMPROVEMENTS,
        "the noise's size at the start",
        Range(above=0),
        fixed_on_resume=True,
        when={"noisy": (True,)},
        search=Searched(0.1, 1.0, log=True),
    )
    distribution: str = setting(
        "none",
        IMPROVEMENTS,
        "learn the distribution of returns: on fixed atoms (c51) or as quantiles",
        Choice("none", "c51", "quantile"),
        source="Bellemare et al. 2017; Dabney et al. 2018",
        fixed_on_resume=True,
        search=Searched(choices=("none", "quantile"), when={"munchausen": (False,)}),
    )
    atoms: int = setting(
        51,
        IMPROVEMENTS,
        "numbers that describe a distribution",
        Range(low=2),
        fixed_on_resume=True,
        when={"distribution": ("c51", "quantile")},
        search=Searched(choices=(21, 51, 101)),
    )
    v_min: float = setting(
        -10.0,
        IMPROVEMENTS,
        "smallest return that c51 can tell, and that --clip_targets leaves",
        Range(),
        unit="return",
        fixed_on_resume=True,
        when=OF_BOUNDS,
    )
    v_max: float = setting(
        10.0,
        IMPROVEMENTS,
        "largest return that c51 can tell, and that --clip_targets leaves",
        Range(),
        unit="return",
        fixed_on_resume=True,
        when=OF_BOUNDS,
    )
    clip_targets: bool = setting(
        False,
        IMPROVEMENTS,
        "targets are cut to --v_min and --v_max, which bounds what Q-values are pulled towards",
        source="Andrychowicz et al. 2017",
    )
    munchausen: bool = setting(
        False,
        IMPROVEMENTS,
        "adds the scaled log-policy to the reward; the bootstrap is soft",
        source="Vieillard et al. 2020",
        search=Searched(choices=(False, True), when=BESIDE_MUNCHAUSEN),
    )
    munchausen_alpha: float = setting(
        0.9,
        IMPROVEMENTS,
        "share of the log-policy that is added",
        Range(0.0, 1.0),
        when={"munchausen": (True,)},
        search=Searched(0.5, 0.99),
    )
    munchausen_temperature: float = setting(
        0.03,
        IMPROVEMENTS,
        "temperature of the policy",
        Range(above=0),
        unit="return",
        when={"munchausen": (True,)},
        search=Searched(0.003, 0.3, log=True),
    )
    munchausen_clip: float = setting(
        -1.0,
        IMPROVEMENTS,
        "the scaled log-policy is not taken below this",
        Range(high=0),
        unit="return",
        when={"munchausen": (True,)},
    )
