"""What a pretrained language model brings to dialogues whose wordings are new."""
