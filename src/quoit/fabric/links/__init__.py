"""What a device computes from what it detected: one link protocol a file."""
