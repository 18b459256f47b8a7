"""The files of a pretrained language model: its shape, its weights and its tokenizer."""
