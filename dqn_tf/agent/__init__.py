"""From a batch to a gradient: networks, targets, losses and the update."""
