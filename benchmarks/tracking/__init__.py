"""What a follower beside a training costs it."""
