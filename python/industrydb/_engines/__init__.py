"""What the engines' modules share: the partitions of a plan as tasks, and filters as Polars' expressions."""
