"""What is published: versions, the source distribution, and how the module is built."""
