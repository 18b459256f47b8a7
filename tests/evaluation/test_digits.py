"""dqn_tf.support.digits: a return is shown in as many decimals as tell it from a better one."""

import pytest

from dqn_tf.support.digits import return_text, return_texts


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (500.0, "500.0"),
        (-13.0, "-13.0"),
        (7.934, "7.93"),
        (-1.0, "-1.00"),
        (0.7402, "0.740"),
        (-0.0457, "-0.046"),
        (0.0, "0.000"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
    ],
)
def test_a_return_has_the_decimals_that_its_size_needs(value, text):
    assert return_text(value) == text


def test_what_stands_beside_a_return_has_as_many():
    assert return_texts(0.95, 0.9, 1.04) == ["0.950", "0.900", "1.040"]
    assert return_texts(10.0, 9.75) == ["10.0", "9.8"]
