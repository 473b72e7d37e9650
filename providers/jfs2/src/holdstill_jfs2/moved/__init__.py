"""What has moved into a snapshot since it was made, and the reader that takes it from there."""
