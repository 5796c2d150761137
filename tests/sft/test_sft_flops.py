"""The operations that a row asks for, worked out by hand for a student of small shapes."""

from miniature.speed.sft_flops import Shapes, operations

# three layers of ten weights, attention 3 wide, the upper two learn
OF = Shapes(
    layer=10, width=3, lora=2, head=7, vision=5, merged=4, patches=4, vision_width=2, vision_depth=1, first=1, layers=3
)


def test_a_kept_row_asks_for_its_lower_layers_once_and_its_upper_ones_twice():
    layer = 6 * (2 * 10 + 2 * 6 * 3)  # 336: six tokens, weights and causal attention
    seen = 4 * (2 * 5 + 4 * 4 * 2) + 2 * 4  # 176: four patches that all see each other, one token after merging
    gradient = 2 * 6 * (2 * 10 + 4 * 6 * 3) + 6 * 6 * 2  # 1176: two layers' inputs, and the LoRA
    head = 3 * 2 * 2 * 7  # 84: two learnt tokens forward, backward and for the base
    assert operations(OF, 6, 2, 1, lower=1, base=True) == layer + seen + 4 * layer + gradient + head == 3116


def test_a_row_that_is_read_asks_for_its_upper_layers_alone():
    assert operations(OF, 6, 2, 1, lower=0, base=False) == 2 * 336 + 1176 + 2 * 2 * 2 * 7 == 1904


def test_the_way_of_before_asks_for_the_lower_layers_twice():
    shared = operations(OF, 6, 2, 1, lower=1, base=True)
    assert operations(OF, 6, 2, 1, lower=2, base=True) == shared + 336 + 176
