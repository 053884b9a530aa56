"""What is wrong with a training, in words: probes that measure it, and verdicts on what they found."""
