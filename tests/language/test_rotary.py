"""Rotary positions as the config of Llama 3.2 1B asks for them, beside the algorithm by hand."""

import numpy as np

from dqn_tf.language import llama, rotary
from dqn_tf.language.claims import Claims
from tiny_language_model import TinyShape, rotary_speeds

# as it is published in meta-llama/Llama-3.2-1B
PUBLISHED = {
    "rope_scaling": {
        "factor": 32.0,
        "high_freq_factor": 4.0,
        "low_freq_factor": 1.0,
        "original_max_position_embeddings": 8192,
        "rope_type": "llama3",
    },
    "rope_theta": 500000.0,
}
HEAD_WIDTH = 64


def test_frequencies_of_llama_3_2():
    found = rotary.of_config(Claims("llama", "config.json", PUBLISHED.get), HEAD_WIDTH)
    expected = rotary_speeds(TinyShape(head_dim=HEAD_WIDTH, **PUBLISHED))
    frequencies = llama.frequencies(found.base, HEAD_WIDTH, found.divisors)
    np.testing.assert_allclose(frequencies, expected, rtol=1e-14)
    assert found.divisors[:13] == (1.0,) * 13
    assert 1.0 < found.divisors[15] < found.divisors[16] < 32.0
    assert found.divisors[18:] == (32.0,) * 14


def test_frequencies_without_scaling():
    found = rotary.of_config(Claims("llama", "config.json", {"rope_theta": 1e5}.get), HEAD_WIDTH)
    assert found == (1e5, ())
    expected = 1e5 ** (-np.arange(0, HEAD_WIDTH, 2) / HEAD_WIDTH)
    np.testing.assert_array_equal(llama.frequencies(found.base, HEAD_WIDTH), expected)
