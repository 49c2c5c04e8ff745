"""The order of the blocks, plain and with depth recurrence (spec: Model 5–6)."""


def layer_order(num_layers: int, num_loops: int, loop_start: int, loop_end: int) -> tuple[list[int], list[int]]:
    """Physical block indices of the encoder half and of the decoder half.

    Blocks `loop_start..loop_end` (both included) run `1 + num_loops` times in a row; `num_loops=0` is the plain order.
    The encoder is the first floor(n/2) of the n virtual layers.
    """
    loop = range(loop_start, loop_end + 1)
    order = [*range(loop_start), *(list(loop) * (1 + num_loops)), *range(loop_end + 1, num_layers)]
    half = len(order) // 2
    return order[:half], order[half:]
