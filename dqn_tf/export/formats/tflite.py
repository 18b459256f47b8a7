"""The network for TensorFlow Lite: one file, one signature, any batch size."""

from pathlib import Path

import tensorflow as tf

from dqn_tf.agent.dqn import DQN
from dqn_tf.export.runtimes import FILES
from dqn_tf.support import tensorflow_loading


def write_tflite(agent: DQN, version: Path) -> None:
    """Write observation → q_values, and the greedy action where all actions are legal.

    Raises NotImplementedError where the torso says that it cannot be, and whatever TensorFlow's
    converter raises.
    """
    network = agent.online
    unfit = network.torso.refusal_of_tflite()
    if unfit:
        raise NotImplementedError(unfit)
    spaces = agent.spaces
    module = tf.Module()
    module.network_variables = [
        variable if isinstance(variable, tf.Variable) else variable.value
        for variable in network.variables
    ]
    observation_spec = tf.TensorSpec(
        (None, *spaces.observation_shape), spaces.observation_dtype, "observation"
    )

    @tf.function(input_signature=[observation_spec], autograph=False)
    def serving_default(observation: tf.Tensor) -> dict[str, tf.Tensor]:
        q_values, behaviour = network.q_values_and_behaviour(observation)
        if spaces.masked:
            return {"q_values": q_values}
        action = network.greedy_action(q_values, behaviour)
        return {"action": action + spaces.action_start, "q_values": q_values}

    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [serving_default.get_concrete_function()], module
    )
    # What the converter writes to stderr is in its exception, too.
    with tensorflow_loading.hidden_stderr(show_on_failure=False):
        model = converter.convert()
    (version / FILES["tflite"]).write_bytes(model)
