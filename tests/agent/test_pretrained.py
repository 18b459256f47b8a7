"""The stream of a pretrained model: its numbers are those of the weights in the files."""

import numpy as np
import pytest
import tensorflow as tf

import tiny_language_model as tiny
from dqn_tf.agent.networks.pretrained.language_model import LanguageModel
from dqn_tf.agent.networks.pretrained.trunk import LlamaTrunk
from dqn_tf.language.model_files import ModelFiles
from dqn_tf.support.errors import UserError

for package in ("gguf", "safetensors", "tokenizers"):
    pytest.importorskip(package, reason="the extra `language` is not installed")

TOKENS = [17, 300, 4, 4, 211, 90, 7]
SHAPES = {
    "grouped": tiny.TinyShape(),
    "untied": tiny.TinyShape(num_key_value_heads=4, tie_word_embeddings=False, rms_norm_eps=1e-2),
    # pairs of numbers in each of the three ranges of frequencies
    "scaled": tiny.TinyShape(head_dim=8, rope_scaling=tiny.LLAMA3),
    # inner width of the heads apart from the stream's
    "narrow": tiny.TinyShape(num_attention_heads=3, num_key_value_heads=1, head_dim=8),
}


def require_close(found, expected):
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, atol=1e-3 * scale, rtol=0)
    assert np.abs(found - expected).max() < 1e-4 * scale  # and far better in fact


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_logits_and_states_are_those_of_the_weights(tmp_path, shape):
    weights = tiny.write_hugging_face(tmp_path, shape)
    expected, states = tiny.logits(weights, shape, TOKENS)
    trunk = LlamaTrunk(ModelFiles(str(tmp_path)))
    tokens = tf.constant([TOKENS, TOKENS[::-1]])
    require_close(trunk.logits(tokens)[0].numpy(), expected)
    for found, state in zip(trunk.all_states(tokens, 2), states, strict=True):
        require_close(found[0].numpy(), state)


@pytest.mark.parametrize("name", ["grouped", "scaled"])
def test_logits_of_a_gguf_file(tmp_path, name):
    shape = SHAPES[name]
    weights = tiny.write_gguf(tmp_path / "tiny.gguf", shape, "F16")
    trunk = LlamaTrunk(ModelFiles(str(tmp_path / "tiny.gguf")))
    require_close(
        trunk.logits(tf.constant([TOKENS]))[0].numpy(), tiny.logits(weights, shape, TOKENS)[0]
    )


@pytest.mark.parametrize("name", ["untied", "scaled"])
def test_logits_are_those_of_transformers(tmp_path, name):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    tiny.write_hugging_face(tmp_path, SHAPES[name])
    model = transformers.LlamaForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    with torch.no_grad():
        expected = model(torch.tensor([TOKENS])).logits[0].numpy()
    trunk = LlamaTrunk(ModelFiles(str(tmp_path)))
    require_close(trunk.logits(tf.constant([TOKENS]))[0].numpy(), expected)


def test_a_cut_trunk_computes_the_same_states_with_fewer_weights(tmp_path):
    shape = SHAPES["grouped"]
    weights = tiny.write_hugging_face(tmp_path, shape)
    states = tiny.logits(weights, shape, TOKENS)[1]
    trunk = LlamaTrunk(ModelFiles(str(tmp_path)), 1)
    require_close(trunk(tf.constant([TOKENS]))[0].numpy(), states[1])
    whole = LlamaTrunk(ModelFiles(str(tmp_path)))
    assert whole.count_params() == sum(array.size for array in weights.values())
    assert trunk.count_params() < whole.count_params()
    with pytest.raises(UserError, match=r"--language_layers=3: .* has 2 layers"):
        LlamaTrunk(ModelFiles(str(tmp_path)), 3)


def test_features_are_means_over_tokens(tmp_path):
    weights = tiny.write_hugging_face(tmp_path)
    model = LanguageModel(str(tmp_path))
    texts = [tiny.SENTENCES[0], "", tiny.SENTENCES[2]]
    features = model.features(texts, at=[0, 1, 2], length=8)
    assert features.shape == (3, 3, 16) and not features[1].any()
    for row in (0, 2):
        tokens = model.files.tokenizer.encode(texts[row])[-8:]
        for place, state in enumerate(tiny.logits(weights, tiny.TinyShape(), tokens)[1]):
            require_close(features[row, place], state.mean(axis=0))
            skipped = model.features([texts[row]], at=place, skip=2, length=8)
            require_close(skipped[0], state[2:].mean(axis=0))
    np.testing.assert_array_equal(model.features(texts[2:], length=8), features[2:, 2])
