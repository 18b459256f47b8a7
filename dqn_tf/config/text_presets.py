"""Presets of the environments of tokens and texts."""

from dqn_tf.config.preset import Preset

TEXT_PRESETS = {
    # gamma below 1: where the goal is not yet found, values would fall without end. It changes no
    # shortest way.
    "dqn_tf/GraphWalk-v0": Preset(
        {
            "total_steps": 40_000,
            "num_envs": 64,
            "gamma": 0.9,
            "replay_unit": "episode",
            "replay_capacity": 20_000,
            "batch_size": 64,
            "layers": 1,
            "learning_rate": 3e-3,
            "learning_rate_end": 1e-5,
            "warmup_env_steps": 1_280,
            "env_steps_per_update": 20.0,
            "updates_per_block": 8,
            "target_update_period_env_steps": 20,
            "tau": 0.02,
            "epsilon_decay_env_steps": 16_000,
            "epsilon_end": 0.2,
            "evaluation_episodes": 40,
            "data": ("env",),
            "pretrain_updates": 1_000,
            "explore_with": "support",
            "explore_support": 0.005,
            "imitation": 1.0,
        },
        {"double": True},
        "greedy return of at least -2.90 over all starts, where the optimum is -2.82",
    ),
    # Three tokens are a command, so three steps lead from one choice of a direction to the next.
    # The behaviour of the environment's own data, commands at random, explores: of tokens at random
    # most commands would be spoiled, and the returns of three steps with them. With this gamma and
    # v_min more of the 51 atoms lie between one command and the next. Soft copies: with one copy in
    # 512 steps a run in four had a start from which it never arrived.
    "dqn_tf/TextMaze-v0": Preset(
        {
            "total_steps": 120_000,
            "num_envs": 32,
            "layers": 1,
            "width": 32,
            "gamma": 0.97,
            "learning_rate": 2e-3,
            "learning_rate_end": 1e-5,
            "warmup_env_steps": 4_000,
            "env_steps_per_update": 16.0,
            "target_update_period_env_steps": 16,
            "tau": 0.01,
            "epsilon_end": 0.8,
            "epsilon_decay_env_steps": 20_000,
            "evaluation_period_env_steps": 20_000,
            "v_min": -16.0,
            "v_max": 0.0,
        },
        {
            "n_step": 3,
            "distribution": "c51",
            "data": ("env",),
            "data_share": 0.25,
            "pretrain_updates": 200,
            "explore_with": "behaviour",
            "support": 0.1,
            "imitation": 1.0,
        },
        "greedy return of at least -7.0 over all starts, as the mean of five runs",
    ),
    # Each token is paid at once and changes nothing that comes later, so gamma is 0; what is to be
    # told is whether it is right, which two atoms say. Where the end is paid: gamma 1, v_max 1.
    # Exploration stays large: where the greedy token is wrong, only chance tries the right one.
    "dqn_tf/Rewrite-v0": Preset(
        {
            "total_steps": 400_000,
            "num_envs": 64,
            "width": 32,
            "gamma": 0.0,
            "replay_unit": "episode",
            "replay_capacity": 20_000,
            "batch_size": 64,
            "learning_rate": 2e-3,
            "learning_rate_end": 1e-4,
            "warmup_env_steps": 4_096,
            "env_steps_per_update": 64.0,
            "target_update_period_env_steps": 4_096,
            "epsilon_decay_env_steps": 200_000,
            "epsilon_end": 0.6,
            "evaluation_period_env_steps": 40_000,
            "atoms": 2,
            "v_min": 0.0,
            "v_max": 0.125,
        },
        {"distribution": "c51"},
        "at least 99 % of the answers wholly right, in most of five runs",
    ),
    # Rewards of 1 and -1 for the same text: the Huber loss would find their median, so it is "mse".
    # An answer is right by chance once in eight times, so exploration goes on to the end.
    "dqn_tf/Helpdesk-v0": Preset(
        {
            "total_steps": 80_000,
            "num_envs": 16,
            "network": "bag_of_words",
            "hidden_units": (128,),
            "gamma": 1.0,
            "loss": "mse",
            "batch_size": 64,
            "replay_capacity": 50_000,
            "learning_rate": 2e-3,
            "learning_rate_end": 1e-5,
            "env_steps_per_update": 8.0,
            "target_update_period_env_steps": 400,
            "epsilon_decay_env_steps": 30_000,
            "epsilon_end": 0.2,
            "evaluation_period_env_steps": 20_000,
            "evaluation_episodes": 200,
            "test_episodes": 1_000,
        },
        {"double": True},
        "greedy return of at least 0.87 on training wordings, as the mean of five runs",
    ),
    # Whole streams: one pass of the GRU over a stream gives Q after each of its texts. Alerts at
    # random end it, so few are made, from the start on. A text has some seven words: a gate that
    # begins at one half would keep 1 % of what was read before it. Waiting is worth what is learned
    # last, so the target network follows closely, and returns are of three steps. What the logged
    # player does is learned well, first and along the way: it tells which texts matter.
    "dqn_tf/NewsAlert-v0": Preset(
        {
            "total_steps": 200_000,
            "num_envs": 256,
            "network": "gru",
            "layers": 1,
            "width": 32,
            "keep_bias": 2.0,
            "gamma": 1.0,
            "loss": "mse",
            "replay_unit": "episode",
            "replay_capacity": 20_000,
            "batch_size": 64,
            "learning_rate": 2e-3,
            "learning_rate_end": 1e-5,
            "warmup_env_steps": 4_096,
            "env_steps_per_update": 128.0,
            "updates_per_block": 8,
            "target_update_period_env_steps": 128,
            "tau": 0.05,
            "epsilon_start": 0.1,
            "epsilon_end": 0.1,
            "evaluation_period_env_steps": 40_000,
            "evaluation_episodes": 200,
            "test_episodes": 1_000,
            "data": ("env",),
            "data_share": 0.25,
            "pretrain_updates": 800,
            "imitation": 0.3,
        },
        {"n_step": 3},
        "greedy return of 0.44 on training wordings, as the mean of five runs",
    ),
    "dqn_tf/TitleRec-v0": Preset(
        {
            "total_steps": 80_000,
            "num_envs": 64,
            "network": "gru",
            "layers": 1,
            "width": 48,
            "gamma": 0.95,
            "loss": "mse",
            "batch_size": 64,
            "replay_capacity": 50_000,
            "learning_rate": 3e-3,
            "learning_rate_end": 1e-5,
            "env_steps_per_update": 24.0,
            "updates_per_block": 8,
            "target_update_period_env_steps": 960,
            "epsilon_start": 0.2,
            "epsilon_end": 0.1,
            "epsilon_decay_env_steps": 20_000,
            "evaluation_period_env_steps": 16_000,
            "evaluation_episodes": 100,
            "test_episodes": 1_000,
            "data": ("env",),
            "data_share": 0.25,
            "pretrain_updates": 300,
            "imitation": 0.1,
        },
        {"double": True},
        "greedy return of at least 2.7 on training wordings, as the mean of five runs",
    ),
    # Of the 40 commands at random hardly any helps; the logged player does the best thing half of
    # the time.
    "dqn_tf/HomeText-v0": Preset(
        {
            "total_steps": 40_000,
            "num_envs": 32,
            "network": "gru",
            "layers": 1,
            "gamma": 0.9,
            "loss": "mse",
            "batch_size": 64,
            "replay_capacity": 50_000,
            "learning_rate": 2e-3,
            "learning_rate_end": 1e-5,
            "env_steps_per_update": 16.0,
            "target_update_period_env_steps": 800,
            "epsilon_decay_env_steps": 20_000,
            "epsilon_end": 0.1,
            "evaluation_episodes": 200,
            "test_episodes": 1_000,
            "data": ("env",),
        },
        {"double": True},
        "98 % of the quests met on training wordings, as the mean of five runs",
    ),
}

# What changes where a pretrained language model reads the texts. The message stands in the prompt
# twice, since only behind its end a model that reads from left to right knows all of it; the noise
# has the size of the features, so that sentences of like meaning are answered alike.
WITH_LANGUAGE_MODEL = {
    "dqn_tf/Helpdesk-v0": {
        "total_steps": 120_000,
        "num_envs": 32,
        "env_steps_per_update": 16.0,
        "learning_rate": 1e-3,
        "replay_capacity": 20_000,
        "tau": 0.01,
        "target_update_period_env_steps": 16,
        "epsilon_decay_env_steps": 24_000,
        "width": 128,
        "language_prompt": "A customer wrote:\n{text}\n"
        "In other words, the customer wrote:\n{text}\nThe problem is with the",
        "feature_noise": 1.0,
        "dropout": 0.5,
    },
    # A recurrent unit reads one headline after the other, and whole streams are learned from, as
    # without a language model. A step of it is a headline, and not a word: less has to be kept.
    "dqn_tf/NewsAlert-v0": {
        "replay_unit": "episode",
        "message_torso": "gru",
        "message_tokens": 24,
        "hidden_units": (32,),
        "keep_bias": 1.0,
        "feature_noise": 0.3,
        "pretrain_updates": 2_000,
    },
    # Each sentence about the reader is a message.
    "dqn_tf/TitleRec-v0": {
        "message_torso": "gru",
        "message_tokens": 24,
        "hidden_units": (64,),
        "width": 64,
        "feature_noise": 0.5,
    },
}

# What changes where the language model learns, too: an update then takes seconds, so there are
# fewer and smaller ones, and nobody waits for several before anything is seen. At a rate at which
# changes of low rank learn, a whole model forgets what it knew.
WHERE_MODEL_LEARNS = {
    "lora": {
        "total_steps": 10_000,
        "warmup_env_steps": 500,
        "updates_per_block": 1,
        "batch_size": 32,
        "env_steps_per_update": 16.0,
        "learning_rate": 5e-4,
        "epsilon_decay_env_steps": 3_000,
    },
    "all": {
        "total_steps": 2_000,
        "warmup_env_steps": 200,
        "updates_per_block": 1,
        "batch_size": 16,
        "env_steps_per_update": 8.0,
        "learning_rate": 2e-5,
        "epsilon_decay_env_steps": 1_000,
    },
}
