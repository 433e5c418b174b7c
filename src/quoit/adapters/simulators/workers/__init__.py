"""What runs in the interpreters of other simulators: nothing here may import quoit, which is not installed there."""
