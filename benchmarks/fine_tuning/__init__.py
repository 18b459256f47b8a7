"""What it costs and what it brings to let a language model learn, wholly or in low rank."""
