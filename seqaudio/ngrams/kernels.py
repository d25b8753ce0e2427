"""Steps of back-off models, compiled by numba. Importing this module imports numba."""

from __future__ import annotations

from seqaudio.jit import compiled
from seqaudio.ngrams.trie import Floats, Ints, Trie


@compiled
def child(trie: Trie, node: int, token: int) -> int:
    """The node of a context's n-gram that ends with a token; -1 where there is none."""
    if node == 0:
        return 1 + token  # every word follows the empty context, in the order of ids
    first, end = int(trie.first[node]), int(trie.first[node + 1])
    last = end
    while first < last:
        middle = (first + last) // 2
        if trie.token[middle] < token:
            first = middle + 1
        else:
            last = middle
    return first if first < end and trie.token[first] == token else -1


@compiled
def step(trie: Trie, state: int, token: int) -> tuple[float, int]:
    """ln p of a token after a state, and the next state."""
    score, node = 0.0, state
    found = child(trie, node, token)
    while found < 0:
        score += trie.back_off[node]
        node = int(trie.suffix[node])
        found = child(trie, node, token)
    following = found if found < trie.highest else int(trie.suffix[found])
    return score + trie.log_probability[found], following


@compiled
def rows(trie: Trie, states: Ints, columns: Ints, scores: Floats, following: Ints) -> None:
    """Fill scores and following states [N, K] after each of states [N]: of the ids with a column, by that column.

    From the longest context down, each of which has few n-grams, an id gets its score where it is first found.
    """
    for n in range(len(states)):
        following[n, :] = -1
        node, weight = states[n], 0.0
        while True:
            for found in range(trie.first[node], trie.first[node + 1]):
                column = columns[trie.token[found]]
                if column >= 0 and following[n, column] < 0:
                    scores[n, column] = weight + trie.log_probability[found]
                    following[n, column] = found if found < trie.highest else trie.suffix[found]
            if node == 0:
                break
            weight += trie.back_off[node]
            node = trie.suffix[node]


@compiled
def pairs(trie: Trie, states: Ints, tokens: Ints, scores: Floats, following: Ints) -> None:
    """Fill scores and following states [N] of tokens [N], each after its state."""
    for n in range(len(states)):
        scores[n], following[n] = step(trie, states[n], tokens[n])


@compiled
def sequence(trie: Trie, start: int, tokens: Ints, scores: Floats) -> None:
    """Fill scores [T] of tokens [T] one after the other."""
    state = start
    for t in range(len(tokens)):
        scores[t], state = step(trie, state, tokens[t])
