"""The command `ganworks`: one file per verb, thin. Nothing here imports torch before a verb runs."""
