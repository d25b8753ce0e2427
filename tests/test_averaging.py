"""Averaged weights: what they are, and that the model's own come back."""

from __future__ import annotations

import pytest
import torch

from seqaudio.bptt.averaging import WeightAverage
from seqaudio.models import KeywordModel

torch.set_num_threads(1)


def model() -> KeywordModel:
    torch.manual_seed(1)
    return KeywordModel(3, 2, hidden_size=4, layers=1).double()


@pytest.mark.parametrize("decay", [0.5, 0.999])
def test_the_average_weighs_each_update_by_its_age(decay: float) -> None:
    net = model()
    average = WeightAverage(net, decay)
    history = []
    for n in range(1, 6):
        with torch.no_grad():
            net.output.weight.normal_()
        history.append(net.output.weight.detach().clone())
        average.update(n)
    ages = torch.tensor([decay**age for age in (4, 3, 2, 1, 0)], dtype=torch.float64)
    expected = torch.einsum("n,nij->ij", ages / ages.sum(), torch.stack(history))
    torch.testing.assert_close(average.weights["output.weight"], expected, rtol=0, atol=1e-12)


def test_the_first_weights_have_no_share() -> None:
    net = model()
    average = WeightAverage(net, 0.999)
    with torch.no_grad():
        net.output.bias.fill_(7.0)
    average.update(1)
    assert average.weights["output.bias"].tolist() == [7.0, 7.0]


def test_the_models_own_weights_come_back_to_the_bit() -> None:
    net = model()
    average = WeightAverage(net, 0.9)
    average.update(1)
    with torch.no_grad():
        net.output.bias.add_(1 / 3)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(KeyError), average.in_place():
        assert torch.equal(net.output.bias, average.weights["output.bias"])
        raise KeyError  # whatever happens meanwhile
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_statistics_of_the_features_are_not_averaged() -> None:
    net = model()
    assert not {"mean", "std"} & WeightAverage(net, 0.9).weights.keys()
