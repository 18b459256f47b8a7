"""Language models of the Llama family with pretrained weights, in plain Keras layers."""
