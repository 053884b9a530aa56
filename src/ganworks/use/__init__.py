"""What a trained GAN is good for: functions of a model and its data set's description."""
