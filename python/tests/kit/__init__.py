"""What the tests share: servers, what stands in front of them, and what watches and compares."""
