"""What every room uses: errors, signals, loading TensorFlow quietly."""
