"""Epochs and windows."""

from collections import Counter

import pytest

from verdicts.rounds.windows import Place, place_of, tickets_of


@pytest.mark.parametrize(
    ("round_number", "tickets", "window", "place"),
    [
        (1, 100, 128, Place(1, 0, 1)),
        (2, 100, 128, Place(2, 0, 1)),
        (1, 129, 128, Place(1, 0, 2)),
        (2, 129, 128, Place(1, 1, 2)),
        (3, 129, 128, Place(2, 0, 2)),
        (1, 1, 1, Place(1, 0, 1)),
        (7, 3, 1, Place(3, 0, 3)),
    ],
)
def test_rounds_fill_an_epoch_before_the_next_one_begins(round_number, tickets, window, place):
    assert place_of(round_number, tickets, window) == place


@pytest.mark.parametrize(("tickets", "window"), [(1, 1), (10, 3), (128, 128), (129, 128), (400, 128)])
def test_an_epoch_shows_every_ticket_exactly_once_in_windows_of_nearly_equal_size(tickets, window):
    rounds = place_of(1, tickets, window).rounds_per_epoch
    shown = [tickets_of(place_of(number, tickets, window), range(tickets), seed=17) for number in range(1, rounds + 1)]
    assert Counter(ticket for part in shown for ticket in part) == Counter(range(tickets))
    sizes = {len(part) for part in shown}
    assert max(sizes) <= window and max(sizes) - min(sizes) <= 1


def test_the_permutation_depends_on_seed_and_epoch_and_on_nothing_else():
    first = tickets_of(Place(1, 0, 1), range(50), seed=17)
    assert first == tickets_of(Place(1, 0, 1), range(50), seed=17)
    assert first != tickets_of(Place(2, 0, 1), range(50), seed=17)
    assert first != tickets_of(Place(1, 0, 1), range(50), seed=18)
    assert first[:5] == [3, 40, 30, 27, 0]  # a change here makes every finished run stale


def test_drawing_a_window_leaves_the_tickets_in_their_order():
    tickets = list(range(10))
    tickets_of(Place(1, 0, 2), tickets, seed=1)
    assert tickets == list(range(10))
