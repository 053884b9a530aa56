"""The end of a run in words."""

from ganworks.cli.report import how_far
from ganworks.cli.scores import from_the_optimum


def score(metric, value, real):
    return {"metric": metric, "value": value, "real": real}


def test_the_summary_says_how_far_the_samples_are_from_real_data():
    scores = [score("recall", 0.45, 0.9), score("frechet_distance", 12.0, 4.0), score("kernel_distance", 1.0, -0.1)]
    assert how_far(scores) == "beside real data: 50 % of its recall, 3 times its Fréchet distance"


def test_without_a_floor_it_says_nothing():
    assert how_far([score("recall", 0.45, None)]) == ""
    assert how_far([]) == ""


def test_the_distance_to_a_known_density_in_a_sentence():
    found = {"optimum.jsd": 0.0123, "optimum.jsd_floor": 0.004}
    assert from_the_optimum(found) == "JSD to the data 0.012, real draws 0.004"
    assert from_the_optimum({}) == ""
