import numpy as np
import pytest

from dqn_tf.experience.sum_tree import SumTree


@pytest.mark.parametrize("capacity", [1, 31, 32, 33, 63, 64, 65, 5000, 140_000])
def test_equals_a_plain_array_under_random_operations(capacity, generator):
    """10,000 operations on integer priorities, which add up without rounding, so every answer must
    be exact.
    """
    tree, model = SumTree(capacity), np.zeros(capacity)
    assert tree.total == 0.0
    for _ in range(10_000 if capacity <= 5000 else 500):
        kind, count = generator.integers(4), int(generator.integers(1, 40))
        leaves = generator.integers(capacity, size=count)
        if kind < 2:
            priorities = generator.integers(8, size=count) * (generator.random(count) < 0.7).astype(
                float
            )
            tree.set(leaves, priorities)
            # one after the other: the last one holds
            for leaf, priority in zip(leaves, priorities, strict=True):
                model[leaf] = priority
        elif kind == 2:
            assert tree.get(leaves).tolist() == model[leaves].tolist()
            assert tree.total == model.sum()
        elif model.any():
            mass = np.concatenate(
                [
                    generator.random(count) * tree.total,
                    generator.integers(int(tree.total), size=count),
                ]
            )
            found = tree.find(mass)
            assert found.tolist() == np.searchsorted(model.cumsum(), mass, side="right").tolist()
            assert (model[found] > 0).all()


@pytest.mark.parametrize("capacity", [1, 33, 65, 5000, 140_000])
def test_rounding_never_finds_what_has_no_priority(capacity, generator):
    """Priorities over thirty orders of magnitude, most of them 0, masses up to and beyond the very
    end.
    """
    for _ in range(20):
        tree = SumTree(capacity)
        priorities = np.where(
            generator.random(capacity) < 0.1, 10.0 ** generator.uniform(-15, 15, size=capacity), 0.0
        )
        priorities[generator.integers(capacity)] = 0.3
        tree.set(np.arange(capacity), priorities)
        mass = np.concatenate(
            [
                [0.0, np.nextafter(tree.total, 0.0), tree.total, tree.total * 1.001],
                generator.random(500) * tree.total,
            ]
        )
        found = tree.find(mass)
        assert (tree.get(found) > 0).all()
        # Right up to rounding: what lies before the leaf is no more than the mass, what lies up to
        # it no less.
        sums, slack = np.concatenate([[0.0], priorities.cumsum()]), 1e-12 * tree.total
        assert (sums[found] <= mass + slack).all() and (
            mass[4:] <= sums[found[4:] + 1] + slack
        ).all()


def test_rounding_does_not_add_up(generator):
    """After a million changes by up to 1e8 and back, the total is that of what is there."""
    tree = SumTree(5000)
    for _ in range(1000):
        leaves = generator.integers(5000, size=1000)
        tree.set(leaves, generator.random(1000) * 1e8)
    tree.set(np.arange(5000), np.full(5000, 1e-3))
    assert abs(tree.total - 5.0) < 1e-12


def test_changed_together_equals_changed_one_by_one(generator):
    """To the bit: a restored tree draws what the unbroken one draws."""
    together, one_by_one = SumTree(5000), SumTree(5000)
    priorities = generator.random(5000)
    together.set(np.arange(5000), priorities)
    for leaf in generator.permutation(5000):
        one_by_one.set(np.array([leaf]), priorities[[leaf]])
    assert together.total == one_by_one.total
    mass = generator.random(1000) * together.total
    assert together.find(mass).tolist() == one_by_one.find(mass).tolist()
