"""N-gram baselines: against dictionaries, against known sources, and as proper distributions."""

from __future__ import annotations

import time
from collections import Counter, defaultdict

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from seqaudio.ngrams.kneser_ney import MIN_DISCOUNT, KneserNey, Unigram, best_kneser_ney

BOS, EOS = 1, 2
token_lists = st.lists(st.lists(st.integers(3, 7), max_size=9).map(np.array), min_size=1, max_size=8)


class DictionaryKneserNey:
    """The same formulas word by word, with tuples for n-grams."""

    def __init__(self, sequences, order, V, discounts):
        self.order, self.V, self.discounts = order, V, discounts
        self.levels = []
        for k in range(1, order + 1):
            occurrences, before = Counter(), defaultdict(set)
            for sequence in sequences:
                whole = (BOS, *sequence, EOS)
                for end in range(max(k, 2), len(whole) + 1):
                    gram = whole[end - k : end]
                    occurrences[gram] += 1
                    before[gram].add(whole[end - k - 1] if end > k else None)
            lower = {gram: occurrences[gram] if gram[0] == BOS else len(tokens) for gram, tokens in before.items()}
            self.levels.append(occurrences if k == order else lower)

    def probability(self, context, token, k=None):
        k = self.order if k is None else k
        if k == 0:
            return 1 / self.V
        context = tuple(context)[max(len(context) - k + 1, 0) :]
        below = self.probability(context[1:] if len(context) == k - 1 else context, token, k - 1)
        followers = [c for gram, c in self.levels[k - 1].items() if gram[:-1] == context]
        if len(context) < k - 1 or not followers:
            return below
        discount = [0.0, *self.discounts[k - 1]]
        count = self.levels[k - 1].get((*context, token), 0)
        held_back = sum(discount[min(c, 3)] for c in followers)
        return (count - discount[min(count, 3)] + held_back * below) / sum(followers)

    def nats(self, sequences):
        total = 0.0
        for sequence in sequences:
            whole = (BOS, *sequence, EOS)
            for i in range(1, len(whole)):
                total -= np.log(self.probability(whole[:i], whole[i]))
        return total


def markov_chain(draw, transitions, length):
    """Tokens 3, 4, .. of a Markov chain, and nats a token that a model of the true chain needs."""
    K = len(transitions)
    cumulative = transitions.cumsum(axis=1)
    state, tokens, nats = 0, [], 0.0
    for uniform in draw.random(length):
        following = min(int(np.searchsorted(cumulative[state], uniform)), K - 1)
        nats -= np.log(transitions[state, following])
        state = following
        tokens.append(3 + state)
    return np.array(tokens), nats / length


def second_order_chain(draw, K, length):
    """Tokens, each drawn given the two before it, and the nats of all that a model of the true chain needs."""
    table = draw.dirichlet(np.full(K, 0.15), size=(K, K))
    a = b = 0
    tokens, nats = [], 0.0
    for uniform in draw.random(length):
        following = min(int(np.searchsorted(table[a, b].cumsum(), uniform)), K - 1)
        nats -= np.log(table[a, b, following])
        a, b = b, following
        tokens.append(3 + following)
    return np.array(tokens), nats


# ---- proper distributions


@settings(max_examples=60)
@given(token_lists, st.integers(1, 8), st.lists(st.integers(0, 9), max_size=9))
def test_probabilities_sum_to_one_after_any_context(sequences, order, context):
    model = KneserNey(order).fit(sequences, 10, BOS, EOS)
    probabilities = model.probabilities(context)
    assert probabilities.shape == (10,)
    assert probabilities.min() > 0
    assert abs(probabilities.sum() - 1) < 1e-12


@settings(max_examples=30)
@given(token_lists, token_lists)
def test_probabilities_sum_to_one_after_every_seen_context_once_tuned(sequences, valid):
    model = best_kneser_ney(sequences, valid, 10, BOS, EOS, max_order=5)
    for sequence in sequences:
        for end in range(len(sequence) + 1):
            assert abs(model.probabilities(sequence[:end]).sum() - 1) < 1e-12


@pytest.mark.parametrize("model", [Unigram(), KneserNey(1), KneserNey(3)])
def test_tokens_never_seen_have_finite_nats(model):
    model.fit([np.array([3, 4, 3, 4])] * 5, 10, BOS, EOS)
    total, count = model.nats([np.array([9, 8, 3, 9])])
    assert count == 5
    assert np.isfinite(total)
    assert total > 5 * np.log(10)


# ---- against dictionaries


@settings(max_examples=40)
@given(token_lists, token_lists, st.integers(1, 6))
def test_nats_equal_a_dictionary_implementation(sequences, test, order):
    model = KneserNey(order).fit(sequences, 10, BOS, EOS)
    reference = DictionaryKneserNey(sequences, order, 10, model.discounts)
    total, count = model.nats(test)
    assert count == sum(len(sequence) + 1 for sequence in test)
    np.testing.assert_allclose(total, reference.nats(test), rtol=1e-10)


@settings(max_examples=30)
@given(token_lists, st.lists(st.integers(0, 9), max_size=3))
def test_probabilities_equal_a_dictionary_implementation(sequences, context):
    model = KneserNey(3).fit(sequences, 10, BOS, EOS)
    reference = DictionaryKneserNey(sequences, 3, 10, model.discounts)
    expected = [reference.probability([BOS, *context], token) for token in range(10)]
    np.testing.assert_allclose(model.probabilities(context), expected, rtol=1e-10)


def test_a_bigram_by_hand():
    # a b a b and a b, a = 3, b = 4, V = 6; discounts of half, one and one and a half, as counts of counts are few
    model = KneserNey(2).fit([np.array([3, 4, 3, 4]), np.array([3, 4])], 6, BOS, EOS)
    assert model.discounts.tolist() == [[0.5, 1.0, 1.5]] * 2
    # a follows BOS and b, b follows a, EOS follows b: counts 2, 1, 1 of 4, of which 1 + 0.5 + 0.5 are held back
    a, b, eos, other = [(kept + 2 / 6) / 4 for kept in (2 - 1, 1 - 0.5, 1 - 0.5, 0)]
    np.testing.assert_allclose(model.probabilities([9 - 4]), [other, other, eos, a, b, other])  # 5 was never a context
    # after a came b three times: 1.5 of 3 are kept, and 1.5 are held back
    np.testing.assert_allclose(model.probabilities([3]), np.array([other, other, eos, a, b + 1, other]) / 2)
    # after b came a once and EOS twice; a sequence began with a twice
    held = (0.5 + 1) / 3
    expected = held * np.array([other, other, eos, a, b, other]) + np.array([0, 0, 1, 0.5, 0, 0]) / 3
    np.testing.assert_allclose(model.probabilities([4]), expected)
    expected = 0.5 * np.array([other, other, eos, a, b, other]) + np.array([0, 0, 0, 0.5, 0, 0])
    np.testing.assert_allclose(model.probabilities([]), expected)


def test_unigram_adds_one_to_every_count():
    model = Unigram().fit([np.array([3, 3, 4]), np.array([], dtype=np.int16)], 6, BOS, EOS)
    # events: 3 3 4 EOS EOS; five of them and six tokens
    assert model.probabilities.tolist() == [1 / 11, 1 / 11, 3 / 11, 3 / 11, 2 / 11, 1 / 11]
    total, count = model.nats([np.array([4])])
    assert count == 2
    assert total == pytest.approx(-np.log(2 / 11) - np.log(3 / 11))


def test_continuation_counts_rank_a_token_that_follows_many_above_one_that_follows_one():
    # 7 is frequent, but only ever after 6; 5 is rarer and follows three tokens
    sequences = [np.array([6, 7, 6, 7, 6, 7, 6, 7]), np.array([3, 5, 4, 5, 8, 5])]
    model = KneserNey(2).fit(sequences, 10, BOS, EOS)
    unseen_context = model.probabilities([9])
    assert unseen_context[5] > unseen_context[7]


def test_first_event_is_predicted_from_the_start_alone():
    model = KneserNey(3).fit([np.array([3, 4, 5])] * 20, 10, BOS, EOS)
    assert model.probabilities([]).argmax() == 3
    assert model.probabilities([3, 4, 5]).argmax() == EOS
    assert np.array_equal(model.probabilities([3, 4, 5]), model.probabilities([9, 9, 4, 5]))


# ---- known sources


def test_bigram_reaches_the_entropy_of_a_markov_source():
    draw = np.random.default_rng(1)
    transitions = draw.dirichlet(np.full(8, 0.3), size=8)
    train, _ = markov_chain(draw, transitions, 60_000)
    valid, _ = markov_chain(draw, transitions, 10_000)
    test, entropy = markov_chain(draw, transitions, 10_000)
    total, count = KneserNey(2).fit([train], 11, BOS, EOS).tune([valid]).nats([test])
    assert abs(total / count - entropy) < 0.01


def test_trigram_beats_bigram_and_unigram_where_two_tokens_matter():
    draw = np.random.default_rng(2)
    tokens, _ = second_order_chain(draw, 6, 40_000)
    train, valid, test = tokens[:30_000], tokens[30_000:35_000], tokens[35_000:]
    models = [Unigram(), KneserNey(2), KneserNey(3)]
    scores = [model.fit([train], 9, BOS, EOS).nats([test])[0] for model in models]
    tuned = KneserNey(3).fit([train], 9, BOS, EOS).tune([valid]).nats([test])[0]
    assert scores[0] > scores[1] + 500
    assert scores[1] > scores[2] + 500
    assert tuned < scores[2] + 5


# ---- discounts


def test_discounts_are_estimated_from_counts_of_counts():
    # four tokens once, three twice, two three times, one four times
    sequence = np.repeat(np.arange(3, 13), [1, 1, 1, 1, 2, 2, 2, 3, 3, 4])
    model = KneserNey(1).fit([sequence[:-1]], 14, 0, 12)  # the end mark gives token 12 its fourth
    y = 4 / (4 + 2 * 3)
    expected = [1 - 2 * y * 3 / 4, 2 - 3 * y * 2 / 3, 3 - 4 * y * 1 / 2]
    np.testing.assert_allclose(model.discounts, [expected])


def test_discounts_start_at_half_where_counts_of_counts_are_missing():
    model = KneserNey(2).fit([np.array([3, 4, 5, 3, 4])], 10, BOS, EOS)
    assert model.discounts.tolist() == [[0.5, 1.0, 1.5]] * 2


def test_tuning_finds_the_best_discounts_on_a_grid():
    draw = np.random.default_rng(3)
    train, valid = (list(draw.integers(3, 9, size=(40, 6))) for _ in range(2))
    model = KneserNey(1).fit(train[:3], 10, BOS, EOS).tune(valid)
    tuned = model.nats(valid)[0]
    grid = np.linspace(MIN_DISCOUNT, 1, 8)
    for discounts in np.stack(np.meshgrid(grid, 2 * grid, 3 * grid), axis=-1).reshape(-1, 3):
        model.discounts = discounts[None]
        assert tuned <= model.nats(valid)[0] + 1e-2


@settings(max_examples=20)
@given(token_lists, token_lists)
def test_tuning_never_loses_on_what_it_is_tuned_on(train, valid):
    model = KneserNey(3).fit(train, 10, BOS, EOS)
    before, count = model.nats(valid)
    after, _ = model.tune(valid).nats(valid)
    assert after <= before + 1e-3 * count
    assert (model.discounts >= MIN_DISCOUNT).all()
    assert (model.discounts <= [1.0, 2.0, 3.0]).all()


# ---- arguments and speed


def test_small_integer_types_do_not_overflow():
    tokens = np.random.default_rng(4).integers(3, 300, size=500)
    wide, narrow = (KneserNey(3).fit([tokens.astype(dtype)], 300, BOS, EOS) for dtype in (np.int64, np.int16))
    assert wide.nats([tokens]) == narrow.nats([tokens.astype(np.int16)])


@pytest.mark.parametrize("tokens", [[3, 10], [-1, 3]])
@pytest.mark.parametrize("model", [Unigram(), KneserNey(3)])
def test_ids_outside_the_vocabulary_are_refused(model, tokens):
    with pytest.raises(ValueError, match=r"expected 0\.\.9"):
        model.fit([np.array(tokens)], 10, BOS, EOS)


def test_no_sequences_are_refused():
    with pytest.raises(ValueError, match="expected at least one"):
        KneserNey(3).fit([], 10, BOS, EOS)


def test_orders_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match="at least 1"):
        KneserNey(0)
    with pytest.raises(ValueError, match="got order 4, expected at most 3"):
        KneserNey(3).fit([np.array([3])], 10, BOS, EOS).shortened(4)


@settings(max_examples=30)
@given(token_lists, token_lists, st.integers(1, 5))
def test_a_shortened_model_is_that_of_the_lower_order(sequences, test, order):
    shorter, lower = KneserNey(5).fit(sequences, 10, BOS, EOS).shortened(order), KneserNey(order)
    lower.fit(sequences, 10, BOS, EOS)
    np.testing.assert_array_equal(shorter.discounts, lower.discounts)
    assert shorter.nats(test) == lower.nats(test)


# ---- the order that validation chooses


def test_validation_chooses_the_order_of_the_source():
    draw = np.random.default_rng(6)
    tokens, entropy = second_order_chain(draw, 6, 60_000)
    train, valid, test = tokens[:40_000], tokens[40_000:50_000], tokens[50_000:]
    model = best_kneser_ney([train], [valid], 9, BOS, EOS)
    assert model.order == 3
    total, count = model.nats([test])
    assert abs(total / count - entropy / len(tokens)) < 0.03


def test_a_long_context_is_chosen_where_it_decides():
    # the seventh token repeats the first, and the six between are drawn anew
    draw = np.random.default_rng(7)
    blocks = [np.append(block, block[0]) for block in draw.integers(3, 5, size=(6000, 6))]
    model = best_kneser_ney(blocks[:5000], blocks[5000:], 6, BOS, EOS)
    assert model.order == 8, "six tokens, BOS before them, and the token itself"
    nats, count = model.nats(blocks[5000:])
    assert nats / count == pytest.approx(6 * np.log(2) / 8, abs=0.02)


def test_the_lowest_of_equal_orders_is_chosen():
    assert best_kneser_ney([np.array([3])] * 9, [np.array([3])], 5, BOS, EOS).order == 3, "BOS, 3 and EOS"


@settings(max_examples=20)
@given(token_lists, token_lists)
def test_the_best_order_is_no_worse_than_any_order_alone(sequences, valid):
    best, count = best_kneser_ney(sequences, valid, 10, BOS, EOS, max_order=4).nats(valid)
    for order in (1, 2, 3, 4):
        alone, _ = KneserNey(order).fit(sequences, 10, BOS, EOS).tune(valid).nats(valid)
        assert best <= alone + 1e-2 * count


def test_a_million_tokens_take_seconds():
    tokens = 3 + np.random.default_rng(5).geometric(0.05, size=1_000_000).clip(max=390)
    sequences = np.split(tokens, 2000)
    start = time.perf_counter()
    KneserNey(3).fit(sequences, 400, BOS, EOS).nats(sequences[:200])
    assert time.perf_counter() - start < 20


@pytest.mark.data
def test_longer_contexts_predict_english_better(data_folder):
    text = (data_folder / "text" / "tinyshakespeare.txt").read_text(encoding="utf-8")
    _, ids = np.unique(list(text), return_inverse=True)
    train, valid = [ids[:900_000] + 3], [ids[900_000:1_000_000] + 3]
    nats = []
    for order in (1, 3, 5):
        total, count = KneserNey(order).fit(train, 68, BOS, EOS).nats(valid)
        nats.append(total / count)
    assert nats[0] > nats[1] + 1 > nats[2] + 1.3


def test_half_a_million_tokens_at_order_eight_take_seconds():
    draw = np.random.default_rng(8)
    tokens, _ = second_order_chain(draw, 20, 5_000)
    long = np.concatenate([draw.permutation(np.split(tokens, 500)).reshape(-1) for _ in range(110)])
    start = time.process_time()
    best_kneser_ney([long[:500_000]], [long[500_000:]], 30, BOS, EOS)
    assert time.process_time() - start < 30
