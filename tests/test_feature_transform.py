"""Features as a transform in the layout of torchaudio: its values, any leading dimensions, gradients, workers."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from seqaudio.errors import OptionError
from seqaudio.features import FeatureExtractor, FeatureTransform, feature_settings

torchaudio = pytest.importorskip("torchaudio")


def noise(*shape: int) -> torch.Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.filterwarnings("ignore:At least one mel filterbank:UserWarning")  # its default has some
def test_it_takes_the_place_of_torchaudios_mfcc() -> None:
    waveform = noise(1, 8000)
    theirs = torchaudio.transforms.MFCC(sample_rate=16000)(waveform)
    ours = FeatureTransform("torchaudio")(waveform)
    assert ours.shape == theirs.shape == (1, 40, 41)
    torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-4)


def test_it_takes_the_place_of_log_mel_energies() -> None:
    waveform = noise(2, 8000)
    mel = torchaudio.transforms.MelSpectrogram(16000, n_fft=400, hop_length=160, n_mels=40)
    ours = FeatureTransform("log_mel+edges=reflect+low=0+fft_points=400", 16000)(waveform)
    torch.testing.assert_close(ours, mel(waveform).clamp(min=1e-10).log(), atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0,), (2, 1, 2)])
def test_leading_dimensions_stay_and_each_waveform_is_as_if_alone(shape: tuple[int, ...]) -> None:
    transform = FeatureTransform("default+deltas=1", 8000)
    extract = FeatureExtractor(transform.settings)
    waveform = noise(*shape, 2000)
    features = transform(waveform)
    assert features.shape == (*shape, 26, transform.settings.frames(2000))
    for samples, found in zip(waveform.reshape(-1, 2000), features.reshape(-1, *features.shape[-2:]), strict=True):
        assert torch.equal(found, extract(samples).T)


def test_there_is_nothing_to_save_and_gradients_reach_the_samples() -> None:
    net = nn.Sequential(FeatureTransform("keywords", 8000, dtype=torch.float64), nn.Flatten(), nn.LazyLinear(1))
    waveform = noise(2, 1600).double().requires_grad_()
    net.double()(waveform).sum().backward()
    assert waveform.grad is not None
    assert waveform.grad.abs().max() > 0
    assert net[0].state_dict() == {}
    assert list(net[0].parameters()) == []


class Clips(Dataset):
    def __init__(self) -> None:
        self.transform = FeatureTransform("default", 8000)

    def __len__(self) -> int:
        return 6

    def __getitem__(self, row: int) -> torch.Tensor:
        return self.transform(torch.full((1, 1600), row / 10))


def test_it_works_in_the_workers_of_a_loader() -> None:
    clips = Clips()
    expected = torch.stack([clips[row] for row in range(6)])  # used here first, then sent
    found = torch.cat(list(DataLoader(clips, batch_size=2, num_workers=1, multiprocessing_context="fork")))
    assert torch.equal(found, expected)


def test_what_cannot_be_transformed_is_one_line() -> None:
    with pytest.raises(OptionError, match="16000 Hz, and settings for 8000 Hz"):
        FeatureTransform(feature_settings("default", 8000), 16000)
    with pytest.raises(OptionError, match="did you mean"):
        FeatureTransform("defalt")
    transform = FeatureTransform(feature_settings("default", 8000))
    with pytest.raises(ValueError, match=r"without dimensions, expected \[\.\.\., samples\]"):
        transform(torch.tensor(1.0))
    with pytest.raises(ValueError, match="fewer than one frame"):
        transform(torch.zeros(2, 10))
    with pytest.raises(ValueError, match="samples are"):
        transform(torch.zeros(2, 1000, dtype=torch.int16))
